package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// agentsOf are clients of the agents that the target names.
func agentsOf(ctx context.Context, t config.Target) ([]*control.Client, error) {
	if err := errors.Join(t.Validate()...); err != nil {
		return nil, usage{err}
	}
	bases, err := t.Agents(ctx)
	if err != nil {
		return nil, usage{err}
	}
	h := t.Files().HTTPClient(0)
	var out []*control.Client
	for _, b := range bases {
		out = append(out, control.NewClient(b, h))
	}
	return out, nil
}

// onAgent asks the target's agents in turn until one answers. A refusal is an
// answer; but of an order, one before may have been done without an answer.
func onAgent[A any](ctx context.Context, t config.Target, ask func(context.Context, *control.Client) (A, error)) (A, error) {
	var none A
	agents, err := agentsOf(ctx, t)
	if err != nil {
		return none, err
	}
	var errs []error
	for _, a := range agents {
		call, cancel := context.WithTimeout(ctx, t.Timeout)
		got, err := ask(call, a)
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
			return got, err
		case errors.Is(err, control.ErrRefused):
			return got, errors.Join(append(unanswered(errs), err)...)
		}
		errs = append(errs, err)
	}
	switch err := errors.Join(errs...); {
	case len(agents) == 1:
		return none, err
	case len(unanswered(errs)) > 0:
		return none, fmt.Errorf("no agent says that it did it: %w", err)
	default:
		return none, fmt.Errorf("no agent did it: %w", err)
	}
}

// unanswered are the orders of which nobody knows what became of them.
func unanswered(errs []error) []error {
	return slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return !errors.Is(err, control.ErrUnanswered) })
}

func withAgent(ctx context.Context, t config.Target, ask func(context.Context, *control.Client) error) error {
	_, err := onAgent(ctx, t, func(ctx context.Context, a *control.Client) (struct{}, error) { return struct{}{}, ask(ctx, a) })
	return err
}
