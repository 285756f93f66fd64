package inbox

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
)

var updateScreens = flag.Bool("update-screens", false, "keep the screens of testdata/screens as they look now")

// still takes away what moves: the time that is left.
const still = `document.querySelectorAll('[data-left]').forEach((e) => { e.parentElement.style.visibility = 'hidden'; });
	document.querySelectorAll('.must input').forEach((e) => { const of = e.closest('[id^=must-]'); e.checked = of.tagName !== 'DETAILS' && !of.querySelector('details:not([open])'); })`

// fonts tells machines apart whose letters have other widths: there a screen cannot be
// the one that was kept.
const fonts = `(() => { const c = document.createElement('canvas').getContext('2d');
	return ['16px system-ui', '600 26px system-ui', '14px monospace'].map((f) => { c.font = f; return Math.round(c.measureText('The quick brown fox, € 9,120.00 ⟨U+202E⟩').width); }).join(' '); })()`

// Pages look as they did when somebody looked at them last: a change of looks is a change
// of files in testdata/screens, which go test -run TestScreens -update-screens writes.
func TestScreens(t *testing.T) {
	s, ctx := keyed(t)
	s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
	enter(t, s, ctx)
	dir := filepath.Join("testdata", "screens")
	widths, err := chromedp.Run(ctx, chromedp.Evaluate[string](fonts))
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, "fonts.txt")); *updateScreens {
		if err := os.WriteFile(filepath.Join(dir, "fonts.txt"), []byte(widths), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if err != nil || string(kept) != widths {
		t.Skipf("letters are %q wide here, and were %q %v", widths, kept, err)
	}
	all := kinds()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := s.open(all[name])
		for i, look := range looks[:4] {
			if i > 0 && name != "delete" {
				continue // what other looks change is the same on each page
			}
			browse(t, ctx, emulate(look.width, look.height, look.dark), chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitReady("main"), chromedp.Evaluate[chromedp.Void](still+`; void 0`))
			full, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if out := os.Getenv("EXEAT_SCREENSHOTS"); out != "" {
				if err := os.WriteFile(filepath.Join(out, "kind-"+name+"-"+look.name+".png"), full, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			compareScreen(t, filepath.Join(dir, name+"-"+look.name+".png"), full)
		}
	}
}

// compareScreen holds a picture against the one that was kept, both at half the size.
func compareScreen(t *testing.T, file string, full []byte) {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(full))
	if err != nil {
		t.Fatal(err)
	}
	now := halve(picture)
	if *updateScreens {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, now); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if share := difference(kept, now); share > 0.02 {
		if out := os.Getenv("EXEAT_SCREENSHOTS"); out == "" {
			file += "; set EXEAT_SCREENSHOTS to see it"
		}
		t.Errorf("%.1f %% of it is not as in %s", 100*share, strings.TrimSpace(fmt.Sprint(file)))
	}
}

// halve is a picture at half its width and height, in few colours.
func halve(p image.Image) *image.Paletted {
	b := p.Bounds()
	out := image.NewPaletted(image.Rect(0, 0, b.Dx()/2, b.Dy()/2), palette.WebSafe)
	for y := range b.Dy() / 2 {
		for x := range b.Dx() / 2 {
			var sum [3]uint32
			for i := range 4 {
				r, g, bl, _ := p.At(b.Min.X+2*x+i%2, b.Min.Y+2*y+i/2).RGBA()
				sum[0], sum[1], sum[2] = sum[0]+r, sum[1]+g, sum[2]+bl
			}
			out.Set(x, y, color.RGBA64{uint16(sum[0] / 4), uint16(sum[1] / 4), uint16(sum[2] / 4), 0xffff})
		}
	}
	return out
}

// difference is the share of points that differ by more than a step of the palette;
// all, if the sizes do.
func difference(a, b image.Image) float64 {
	if a.Bounds() != b.Bounds() {
		return 1
	}
	n, all := 0, a.Bounds().Dx()*a.Bounds().Dy()
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r, g, bl, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if max(r, r2)-min(r, r2) > 0x4000 || max(g, g2)-min(g, g2) > 0x4000 || max(bl, b2)-min(bl, b2) > 0x4000 {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}
