package stack

// launch is how a machine is made.
func (b *builder) launch() error {
	data, err := b.userData()
	if err != nil {
		return err
	}
	hops := 1
	if b.Image != "" {
		hops = 2 // a container is one hop further from the metadata service
	}
	disk := object{"VolumeType": "gp3", "VolumeSize": b.VolumeSize, "Encrypted": true, "DeleteOnTermination": true}
	if b.KMSKey != "" {
		disk["KmsKeyId"] = b.keyIn(b.region)
	}
	machine := object{
		"ImageId":             ref("Image"),
		"InstanceType":        b.InstanceType,
		"IamInstanceProfile":  object{"Arn": attribute("Profile", "Arn")},
		"MetadataOptions":     object{"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": hops},
		"SecurityGroupIds":    []any{attribute("MachinesFirewall", "GroupId")},
		"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": disk}},
		"UserData":            object{"Fn::Base64": sub(marked(data))},
		"TagSpecifications":   []any{object{"ResourceType": "instance", "Tags": tags(b.Stack)}, object{"ResourceType": "volume", "Tags": tags(b.Stack)}},
	}
	if b.KeyPair != "" {
		machine["KeyName"] = b.KeyPair
	}
	b.add("Launch", "AWS::EC2::LaunchTemplate", object{"LaunchTemplateData": machine})
	return nil
}

// Time limits of a machine on its way in and out, in seconds. A machine that
// never votes is abandoned; one that leaves is held by the agents' heartbeats,
// and goes by itself when none is left to beat.
const (
	launchingTime   = 30 * 60
	terminatingTime = 10 * 60
)

// group is the Auto Scaling group. Its health is EC2's alone: a load balancer's
// verdict would end every machine, and its data, when a quorum is lost. A bad
// machine is condemned by quorate.
func (b *builder) group() {
	size := b.sizeIn(b.region)
	hook := func(name, transition, otherwise string, limit int) object {
		return object{"LifecycleHookName": name, "LifecycleTransition": "autoscaling:EC2_INSTANCE_" + transition, "DefaultResult": otherwise, "HeartbeatTimeout": limit,
			"NotificationTargetARN": attribute("Queue", "Arn"), "RoleARN": attribute("HooksRole", "Arn")}
	}
	b.out.Resources[GroupResource] = Resource{
		Type:      "AWS::AutoScaling::AutoScalingGroup",
		DependsOn: append([]string{"MembersRule", "MembersEgress", "HealthRule", "BalancerRule", "QueueRules", "Listener"}, b.routes()...),
		Properties: object{
			"MinSize": text(size), "MaxSize": text(size + 1), "DesiredCapacity": text(size),
			"LaunchTemplate":      object{"LaunchTemplateId": ref("Launch"), "Version": attribute("Launch", "LatestVersionNumber")},
			"VPCZoneIdentifier":   b.subnets(),
			"TargetGroupARNs":     []any{ref("Targets")},
			"HealthCheckType":     "EC2",
			"TerminationPolicies": []any{"OldestLaunchTemplate", "OldestInstance"},
			"LifecycleHookSpecificationList": []any{
				hook("launching", "LAUNCHING", "ABANDON", launchingTime),
				hook("terminating", "TERMINATING", "CONTINUE", terminatingTime),
			},
			"InstanceMaintenancePolicy": object{"MinHealthyPercentage": 100, "MaxHealthyPercentage": 100 + (99+size)/size},
			"Tags":                      []any{object{"Key": "Name", "Value": b.Stack, "PropagateAtLaunch": true}},
		},
		CreationPolicy: object{"ResourceSignal": object{"Count": size, "Timeout": "PT30M"}},
		UpdatePolicy: object{
			"AutoScalingRollingUpdate": object{"MinInstancesInService": size, "MaxBatchSize": 1, "WaitOnResourceSignals": true, "PauseTime": "PT30M",
				"SuspendProcesses": []any{"AZRebalance", "AlarmNotification", "HealthCheck", "ReplaceUnhealthy", "ScheduledActions"}},
		},
	}
	b.output("Group", "Auto Scaling group of the machines.", ref(GroupResource))
}
