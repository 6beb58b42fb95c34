// Package publish brings a DNS zone to what the keeper wants it to show.
//
// The decision is Diff, a pure function of the wanted records, the zone as it
// was found and who we are. A Publisher acts: it lists, compares, changes, and
// looks again. A provider is a leaf below this package: a Zone of two methods,
// run through publishtest. Why providers are spoken to directly, and how names
// are owned: DESIGN.md.
package publish
