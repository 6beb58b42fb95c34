package unit

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// CloudConfig is the part of cloud-init's format that is used.
type CloudConfig struct {
	WriteFiles []File     `yaml:"write_files"`
	RunCmd     [][]string `yaml:"runcmd"`
}

// File is one that cloud-init writes, as root's.
type File struct {
	Path        string `yaml:"path"`
	Permissions string `yaml:"permissions"` // octal
	Content     string `yaml:"content"`
}

// UserData is the user data of a machine.
func (c CloudConfig) UserData() (string, error) {
	text, err := yaml.MarshalWithOptions(c, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("writing user data: %w", err)
	}
	return "#cloud-config\n" + strings.TrimRight(string(text), "\n") + "\n", nil
}
