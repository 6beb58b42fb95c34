package config

import (
	"errors"
	"math"
	"strconv"

	"github.com/alecthomas/kong"
)

// Size is the wanted number of voters, 0 for no upper limit, or Auto.
type Size int

// Auto is the size that the peers source says.
const Auto Size = math.MinInt

// Voters is the number; 0 when it is the source's to say.
func (s Size) Voters() int {
	if s == Auto {
		return 0
	}
	return int(s)
}

func (s Size) String() string {
	if s == Auto {
		return "auto"
	}
	return strconv.Itoa(int(s))
}

// Decode is how kong reads it.
func (s *Size) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("number or auto")
	if err != nil {
		return err
	}
	text := token.String()
	if text == "auto" {
		*s = Auto
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New(wanted(Size(0)))
	}
	*s = Size(n)
	return nil
}
