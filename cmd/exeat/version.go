package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which exeat this is, and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(t, "exeat\t%s\n", version())
			fmt.Fprintf(t, "go\t%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if info, ok := debug.ReadBuildInfo(); ok {
				fmt.Fprintf(t, "module\t%s\n", info.Main.Path)
				// What is not known, such as the revision of a module from a proxy, has no line.
				for _, k := range []string{"vcs", "vcs.revision", "vcs.time", "vcs.modified"} {
					if v := setting(info, k); v != "" {
						fmt.Fprintf(t, "%s\t%s\n", k, v)
					}
				}
			}
			return t.Flush()
		},
	}
}

// version is the module's version, or the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	if v := setting(info, "vcs.revision"); len(v) >= 12 {
		return "devel-" + v[:12]
	}
	return "devel"
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
