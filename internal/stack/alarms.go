package stack

import "time"

// Figures of the keeper in CloudWatch, under MetricsNamespace and the dimension
// Cluster.
const (
	MetricBackupAge        = "BackupAge"        // seconds since the newest full snapshot
	MetricUnshipped        = "UnshippedSeconds" // age of the oldest committed entry that the store lacks
	MetricKeys             = "Keys"             // number of keys
	MetricFailureTolerance = "FailureTolerance" // members that may fail with a quorum left
	MetricDBSizePercent    = "DBSizePercent"    // database size, of etcd's quota
	MetricUnhealthyMembers = "UnhealthyMembers" // voters that do not answer
)

// alarms tell of trouble, by topic and e-mail. They have no names, so that two
// stacks never meet. A pair's are in the first region, where its figures go.
func (b *builder) alarms() {
	if !b.first(b.region) {
		return
	}
	b.add("Topic", "AWS::SNS::Topic", object{"DisplayName": "etcd cluster " + b.Stack, "Tags": tags(b.Stack)})
	if b.Email != "" {
		b.add("Subscription", "AWS::SNS::Subscription", object{"TopicArn": ref("Topic"), "Protocol": "email", "Endpoint": b.Email})
	}
	b.output("Topic", "Alarms are told here.", ref("Topic"))

	// A figure that is missing means that no keeper works: one alarm about
	// members says so, and another about backups.
	b.alarm("UnhealthyAlarm", MetricUnhealthyMembers, "a member is unhealthy, or no keeper says otherwise", "GreaterThanThreshold", 0, 5, "breaching")
	if b.BackupInterval > 0 {
		b.alarm("BackupAlarm", MetricBackupAge, "the newest full snapshot is older than three intervals, or nobody knows", "GreaterThanThreshold",
			int(3*b.BackupInterval/time.Second), 5, "breaching")
	}
	if b.BackupInterval > 0 {
		b.alarm("UnshippedAlarm", MetricUnshipped, "what was written a minute ago is in no backup: with all disks it would be lost", "GreaterThanThreshold", 60, 2, "missing")
	}
	b.alarm("QuotaAlarm", MetricDBSizePercent, "the database fills its quota: etcd refuses writes at 100 %", "GreaterThanThreshold", 80, 5, "missing")
	if b.Size > 1 {
		b.alarm("ToleranceAlarm", MetricFailureTolerance, "the next failure costs the quorum", "LessThanThreshold", 1, 5, "missing")
	}
}

func (b *builder) alarm(id, metric, what, comparison string, threshold, minutes int, missing string) {
	b.add(id, "AWS::CloudWatch::Alarm", object{
		"AlarmDescription": "etcd cluster " + b.Stack + ": " + what + ".",
		"Namespace":        MetricsNamespace, "MetricName": metric,
		"Dimensions": []any{object{"Name": "Cluster", "Value": b.Stack}},
		"Statistic":  worst(comparison), "Period": 60, "EvaluationPeriods": minutes, "DatapointsToAlarm": minutes,
		"ComparisonOperator": comparison, "Threshold": threshold, "TreatMissingData": missing,
		"AlarmActions": []any{ref("Topic")}, "OKActions": []any{ref("Topic")},
	})
	// There are no figures, and no reason for an alarm, before the first machines vote.
	b.change(id, func(r *Resource) { r.DependsOn = []string{GroupResource} })
}

// worst is the statistic that no good value of the minute can hide behind.
func worst(comparison string) string {
	if comparison == "LessThanThreshold" {
		return "Minimum"
	}
	return "Maximum"
}
