package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"golang.org/x/sync/errgroup"
)

// Identity is who this machine is, as EC2 itself says. Addresses that it does
// not have are empty.
type Identity struct {
	InstanceID, InstanceType      string
	Region, Zone, AccountID       string
	PrivateIPv4, PublicIPv4, IPv6 string
	Launched                      time.Time
}

// Identity asks the metadata service. It ends within two seconds, with an
// error that names the service where it does not answer.
func (m *Metadata) Identity(ctx context.Context) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataLimit)
	defer cancel()
	var doc imds.InstanceIdentityDocument
	err := m.ask(ctx, "the instance's identity", func(ctx context.Context) error {
		out, err := m.client.GetInstanceIdentityDocument(ctx, nil)
		if err == nil {
			doc = out.InstanceIdentityDocument
		}
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	me := Identity{InstanceID: doc.InstanceID, InstanceType: doc.InstanceType, Region: doc.Region, Zone: doc.AvailabilityZone,
		AccountID: doc.AccountID, PrivateIPv4: doc.PrivateIP, Launched: doc.PendingTime}
	if me.InstanceID == "" || me.Region == "" {
		return Identity{}, fmt.Errorf("asking the instance metadata service at %s: the identity has no instance id or region", m.endpoint)
	}
	work, ctx := errgroup.WithContext(ctx)
	for path, into := range map[string]*string{"public-ipv4": &me.PublicIPv4, "ipv6": &me.IPv6} {
		work.Go(func() (err error) {
			*into, _, err = m.text(ctx, path)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return Identity{}, err
	}
	return me, nil
}
