package stack

import "strings"

// bucket holds the ledger and the backups. It outlives its stack: only people
// delete backups.
func (b *builder) bucket() {
	switch {
	case b.Bucket != "":
		b.output("Bucket", "Ledger and backups, given.", b.Bucket)
		return
	case !b.first(b.region):
		b.out.Parameters[BucketParameter] = Parameter{Type: "String", Description: "Bucket that the first region's stack has made (its output Bucket)."}
		b.output("Bucket", "Ledger and backups, in the first region.", ref(BucketParameter))
		return
	}
	b.add("Bucket", "AWS::S3::Bucket", object{
		"BucketEncryption":               object{"ServerSideEncryptionConfiguration": []any{b.bucketEncryption()}},
		"OwnershipControls":              object{"Rules": []any{object{"ObjectOwnership": "BucketOwnerEnforced"}}},
		"PublicAccessBlockConfiguration": object{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true},
		"VersioningConfiguration":        object{"Status": "Enabled"},
		"LifecycleConfiguration": object{"Rules": []any{
			object{"Id": "deleted", "Status": "Enabled", "NoncurrentVersionExpiration": object{"NoncurrentDays": b.KeepDeleted}},
			object{"Id": "leftovers", "Status": "Enabled", "ExpiredObjectDeleteMarker": true,
				"AbortIncompleteMultipartUpload": object{"DaysAfterInitiation": 2}},
		}},
		"Tags": tags(b.Stack),
	})
	b.add("BucketRules", "AWS::S3::BucketPolicy", object{"Bucket": ref("Bucket"), "PolicyDocument": document(object{
		"Sid": "EncryptedConnectionsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
		"Resource":  []any{attribute("Bucket", "Arn"), sub("${Bucket.Arn}/*")},
		"Condition": object{"Bool": object{"aws:SecureTransport": "false"}},
	})})
	for _, id := range []string{"Bucket", "BucketRules"} {
		b.change(id, func(r *Resource) { r.DeletionPolicy, r.UpdateReplacePolicy = "Retain", "Retain" })
	}
	b.output("Bucket", "Ledger and backups; it stays when the stack is deleted.", ref("Bucket"))
}

func (b *builder) bucketEncryption() object {
	if b.KMSKey == "" {
		return object{"ServerSideEncryptionByDefault": object{"SSEAlgorithm": "AES256"}}
	}
	return object{"BucketKeyEnabled": true,
		"ServerSideEncryptionByDefault": object{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": b.keyIn(b.region)}}
}

// bucketName is the bucket's name inside Fn::Sub.
func (b *builder) bucketName() string {
	if b.Bucket != "" {
		return b.Bucket
	}
	return "${Bucket}"
}

// bucketRegion is the bucket's region inside Fn::Sub; a given bucket is in the
// stack's own, or the pair's first.
func (b *builder) bucketRegion() string {
	if b.paired() {
		return b.Regions[0]
	}
	return "${AWS::Region}"
}

// messages are the queue of hints (a machine comes, goes, or will be taken
// away) and who may write to it. Quorate never depends on one arriving.
func (b *builder) messages() {
	b.add("DeadLetters", "AWS::SQS::Queue", object{"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": true})
	b.add("Queue", "AWS::SQS::Queue", object{"MessageRetentionPeriod": 3600, "ReceiveMessageWaitTimeSeconds": 20, "VisibilityTimeout": 30, "SqsManagedSseEnabled": true,
		"RedrivePolicy": object{"deadLetterTargetArn": attribute("DeadLetters", "Arn"), "maxReceiveCount": 5}})
	rules := object{"SpotRule": "EC2 Spot Instance Interruption Warning", "RebalanceRule": "EC2 Instance Rebalance Recommendation"}
	for id, detail := range rules {
		b.add(id, "AWS::Events::Rule", object{
			"Description":  "Tells quorate: " + detail.(string) + ".",
			"EventPattern": object{"source": []any{"aws.ec2"}, "detail-type": []any{detail}},
			"Targets":      []any{object{"Id": "queue", "Arn": attribute("Queue", "Arn")}},
		})
	}
	b.add("QueueRules", "AWS::SQS::QueuePolicy", object{"Queues": []any{ref("Queue")}, "PolicyDocument": document(
		object{"Sid": "Events", "Effect": "Allow", "Principal": object{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": attribute("Queue", "Arn"),
			"Condition": object{"ArnEquals": object{"aws:SourceArn": []any{attribute("SpotRule", "Arn"), attribute("RebalanceRule", "Arn")}}}},
		object{"Sid": "EncryptedConnectionsOnly", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": attribute("Queue", "Arn"),
			"Condition": object{"Bool": object{"aws:SecureTransport": "false"}}},
	)})
	b.add("HooksRole", "AWS::IAM::Role", object{
		"Description":              "Lets Auto Scaling tell of machines that come and go.",
		"AssumeRolePolicyDocument": trust("autoscaling.amazonaws.com"),
		"Policies": []any{object{"PolicyName": "queue", "PolicyDocument": document(
			object{"Effect": "Allow", "Action": []any{"sqs:SendMessage", "sqs:GetQueueUrl"}, "Resource": attribute("Queue", "Arn")})}},
	})
	b.output("Queue", "Hints that machines come and go.", ref("Queue"))
}

// document is a policy document of these statements.
func document(statements ...any) object {
	return object{"Version": "2012-10-17", "Statement": statements}
}

func trust(service string) object {
	return document(object{"Effect": "Allow", "Principal": object{"Service": service}, "Action": "sts:AssumeRole"})
}

// objectOf is bucket/key of an s3:// URL; empty for any other URL.
func objectOf(url string) string {
	rest, ok := strings.CutPrefix(url, "s3://")
	if !ok {
		return ""
	}
	return rest
}
