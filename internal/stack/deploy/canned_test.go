package deploy

import (
	"fmt"
	"strings"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func versioned() *s3types.VersioningConfiguration {
	return &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}
}

// event is one of the answer of DescribeStackEvents.
type event struct {
	second   int
	kind     string
	resource string
	status   string
	reason   string
}

// events is DescribeStackEvents' answer as documented.
func events(op Operation, all ...event) string {
	var b strings.Builder
	b.WriteString(`<DescribeStackEventsResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStackEventsResult><StackEvents>`)
	for _, e := range all {
		physical := "physical-" + e.resource
		if e.kind == stackType {
			physical = op.StackID
		}
		fmt.Fprintf(&b, "<member><EventId>event-%d</EventId><StackId>%s</StackId><StackName>%s</StackName><LogicalResourceId>%s</LogicalResourceId>"+
			"<PhysicalResourceId>%s</PhysicalResourceId><ResourceType>%s</ResourceType><Timestamp>2026-01-02T03:04:%02dZ</Timestamp>"+
			"<ResourceStatus>%s</ResourceStatus><ResourceStatusReason>%s</ResourceStatusReason></member>",
			e.second, op.StackID, op.Stack, e.resource, physical, e.kind, e.second, e.status, e.reason)
	}
	b.WriteString("</StackEvents></DescribeStackEventsResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeStackEventsResponse>")
	return b.String()
}

// stackIn is DescribeStacks' answer as documented.
func stackIn(op Operation, status string) string {
	return fmt.Sprintf(`<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>`+
		"<StackId>%s</StackId><StackName>%s</StackName><StackStatus>%s</StackStatus><CreationTime>2026-01-02T03:04:05Z</CreationTime>"+
		"</member></Stacks></DescribeStacksResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeStacksResponse>",
		op.StackID, op.Stack, status)
}

// made is ListStackResources' answer as documented.
func made(all ...resource) string {
	var b strings.Builder
	b.WriteString(`<ListStackResourcesResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><ListStackResourcesResult><StackResourceSummaries>`)
	for _, r := range all {
		fmt.Fprintf(&b, "<member><LogicalResourceId>%s</LogicalResourceId><PhysicalResourceId>%s</PhysicalResourceId><ResourceType>%s</ResourceType>"+
			"<LastUpdatedTimestamp>2026-01-02T03:04:05Z</LastUpdatedTimestamp><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>",
			r.Logical, r.Physical, r.Type)
	}
	b.WriteString("</StackResourceSummaries></ListStackResourcesResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ListStackResourcesResponse>")
	return b.String()
}
