// Package awsproxy stands between the AWS SDK and moto in tests. It records
// every call; it injects the failures that moto never has (throttling, errors,
// silence, empty answers); it gives moto's instances addresses at which a test
// can really listen; and it answers what moto lacks:
//
// moto ends an instance at once and knows no lifecycle hooks beyond their
// definition: CompleteLifecycleAction and RecordLifecycleActionHeartbeat do not
// exist in it. The proxy keeps these states itself, as the Auto Scaling user
// guide documents them (an instance of a group with a hook is Pending:Wait or
// Terminating:Wait until every hook of that transition has been completed or
// has timed out), and shows them in moto's replies. A replacement is launched
// while its predecessor waits, as the guide says of health replacements.
// CloudFormation's SignalResource, which moto lacks too, is only recorded.
package awsproxy
