package store

import "regexp"

// secrets are the parts of a URL or a header that an SDK may quote in an error.
var secrets = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`://[^/@\s"']+@`), "://…@"},
	{regexp.MustCompile(`(?i)((?:^|[?&;\s])(?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|accountkey|sharedaccesssignature)=)[^&;\s"']+`), "${1}…"},
	{regexp.MustCompile(`(?i)(authorization:\s*)[^\r\n]+`), "${1}…"},
}

// redacted is an error whose text is free of secrets.
type redacted struct {
	text string
	err  error
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.err }

func redact(err error) error {
	text := err.Error()
	clean := text
	for _, s := range secrets {
		clean = s.find.ReplaceAllString(clean, s.with)
	}
	if clean == text {
		return err
	}
	return redacted{clean, err}
}
