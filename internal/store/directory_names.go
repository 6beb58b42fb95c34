package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A key's segment is a file name, with % and a leading dot escaped. So no key
// names the directory above, and every name with a leading dot is no object.
var escaper = strings.NewReplacer("%", "%25")

func fileName(segment string) string {
	name := escaper.Replace(segment)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return name
}

// segment undoes fileName; false for a file that no key names.
func segment(name string) (string, bool) {
	s := name
	if strings.HasPrefix(s, "%2E") {
		s = "." + s[3:]
	}
	s = strings.ReplaceAll(s, "%25", "%")
	return s, fileName(s) == name
}

func (d *directory) place(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = fileName(p)
	}
	return filepath.Join(d.root, filepath.Join(parts...))
}

func (d *directory) key(path string) (string, bool) {
	rel, err := filepath.Rel(d.root, path)
	if err != nil {
		return "", false
	}
	parts := strings.Split(filepath.ToSlash(rel), "/")
	for i, p := range parts {
		s, ok := segment(p)
		if !ok {
			return "", false
		}
		parts[i] = s
	}
	return strings.Join(parts, "/"), true
}

// list walks the directory of the prefix. What vanishes under way is skipped,
// as is every file that no key names.
func (d *directory) list(ctx context.Context, prefix string, page func([]Object)) error {
	d.tally.add("list")
	start := d.root
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		start = d.place(prefix[:i])
	}
	if err := d.checkRoot(); err != nil {
		return err
	}
	var found []Object
	err := filepath.WalkDir(start, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path == start && entry.Type() == fs.ModeSymlink: // what it leads to is not "none"
			return fmt.Errorf("%s is a link: want a directory", path)
		case !entry.Type().IsRegular():
			return nil
		}
		o, err := d.object(path, entry)
		if err == nil && strings.HasPrefix(o.Key, prefix) && o.Key != "" {
			found = append(found, o)
		}
		if len(found) == pageSize {
			page(found)
			found = nil
		}
		return err
	})
	page(found)
	return err
}

// object is the zero Object for a file that is none.
func (d *directory) object(path string, entry fs.DirEntry) (Object, error) {
	key, ok := d.key(path)
	if !ok {
		return Object{}, nil
	}
	info, err := entry.Info()
	if errors.Is(err, os.ErrNotExist) {
		return Object{}, nil
	}
	if err != nil {
		return Object{}, err
	}
	return Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}
