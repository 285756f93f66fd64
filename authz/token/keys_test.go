package token

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func removeFile(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func openKeys(t testing.TB, dir, alg string) *Keys {
	t.Helper()
	k, err := OpenKeys(dir, alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func list(t testing.TB, k *Keys) []KeyInfo {
	t.Helper()
	infos, err := k.List()
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

func statuses(infos []KeyInfo) string {
	var s []string
	for _, i := range infos {
		s = append(s, i.Status)
	}
	return strings.Join(s, " ")
}

// published are the members of the keys in the JWKS.
func published(t testing.TB, k *Keys, now time.Time) []map[string]string {
	t.Helper()
	b, err := k.JWKS(now)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

func TestOpenKeysMakesTwo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "keys")
	k := openKeys(t, dir, "")
	infos := list(t, k)
	if got := statuses(infos); got != "active next" {
		t.Fatalf("keys are %q", got)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, k.path(): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", path, got, want)
		}
	}
	again := openKeys(t, dir, "ES256")
	if diff := cmp.Diff(infos, list(t, again)); diff != "" {
		t.Errorf("opening again changed the keys:\n%s", diff)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("the directory holds %d files, want keys.json only", len(entries))
	}
}

// TestJWKS computes the RFC 7638 thumbprints by hand, and looks for private
// members.
func TestJWKS(t *testing.T) {
	for alg, form := range map[string]string{
		"EdDSA": `{"crv":"Ed25519","kty":"OKP","x":"%x"}`,
		"ES256": `{"crv":"P-256","kty":"EC","x":"%x","y":"%y"}`,
	} {
		k := openKeys(t, filepath.Join(t.TempDir(), "keys"), alg)
		keys := published(t, k, time.Now())
		if len(keys) != 2 {
			t.Fatalf("%s: %d keys are published, want 2", alg, len(keys))
		}
		for _, key := range keys {
			sum := sha256.Sum256([]byte(strings.NewReplacer("%x", key["x"], "%y", key["y"]).Replace(form)))
			if key["kid"] != b64(sum[:]) {
				t.Errorf("%s: kid %s is not the thumbprint %s", alg, key["kid"], b64(sum[:]))
			}
			if key["alg"] != alg || key["use"] != "sig" {
				t.Errorf("%s: alg %q, use %q", alg, key["alg"], key["use"])
			}
			if _, private := key["d"]; private {
				t.Errorf("%s: a private key is published", alg)
			}
		}
	}
}

func TestRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k := openKeys(t, dir, "EdDSA")
	other := openKeys(t, dir, "ES256") // another process, set to ES256
	before := list(t, k)
	now := testStart
	if err := other.Rotate(now); err != nil {
		t.Fatal(err)
	}
	after := list(t, k) // the first process sees it
	if got := statuses(after); got != "active next retired" {
		t.Fatalf("keys are %q", got)
	}
	if after[0].ID != before[1].ID || after[2].ID != before[0].ID {
		t.Error("next did not become active, or active not retired")
	}
	if after[1].Alg != "ES256" || after[0].Alg != "EdDSA" {
		t.Errorf("algorithms %s and %s", after[0].Alg, after[1].Alg)
	}
	if want := now.Add(overlap); !after[2].Until.Equal(want) {
		t.Errorf("retired until %s, want %s", after[2].Until, want)
	}
	if got := len(published(t, k, now.Add(overlap-time.Second))); got != 3 {
		t.Errorf("%d keys are published during the overlap, want 3", got)
	}
	if got := len(published(t, k, now.Add(overlap))); got != 2 {
		t.Errorf("%d keys are published after the overlap, want 2", got)
	}
	b, err := os.ReadFile(k.path())
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(b, []byte(`"d":`)); got != 2 {
		t.Errorf("the file holds %d private keys, want 2", got)
	}
	if err := k.Rotate(now.Add(overlap)); err != nil {
		t.Fatal(err)
	}
	if got := list(t, other); statuses(got) != "active next retired" || got[2].ID != after[0].ID {
		t.Errorf("a second rotation leaves %q", statuses(got))
	}
	if err := k.Rotate(now.Add(overlap + time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := list(t, k); statuses(got) != "active next retired retired" || !got[2].Until.After(got[3].Until) {
		t.Errorf("a third rotation soon after leaves %q", statuses(got))
	}
}

func TestKeysInParallel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	const n = 8
	var wg sync.WaitGroup
	opened := make([]*Keys, n)
	secrets := make([][]byte, n)
	for i := range n {
		wg.Go(func() {
			k, err := OpenKeys(dir, "EdDSA")
			if err != nil {
				t.Error(err)
				return
			}
			opened[i] = k
			if secrets[i], err = k.Secret("approvals"); err != nil {
				t.Error(err)
			}
			if err := k.Rotate(testStart); err != nil {
				t.Error(err)
			}
			signed := Signed{Issuer: testIssuer, Keys: k}
			if _, _, err := signed.Mint(testCall()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	want := list(t, opened[0])
	if len(want) != 2+n {
		t.Errorf("%d keys after %d rotations, want %d", len(want), n, 2+n)
	}
	for i := range n {
		if diff := cmp.Diff(want, list(t, opened[i])); diff != "" {
			t.Errorf("process %d sees other keys:\n%s", i, diff)
		}
		if !bytes.Equal(secrets[i], secrets[0]) {
			t.Errorf("process %d has another secret", i)
		}
	}
}

// TestModeLoosenedWhileOpen changes only the mode, which changes neither the
// time nor the size of the file.
func TestModeLoosenedWhileOpen(t *testing.T) {
	k := openKeys(t, filepath.Join(t.TempDir(), "keys"), "")
	list(t, k)
	if err := os.Chmod(k.path(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := k.List(); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Errorf("keys that became readable to all: %v", err)
	}
	if _, err := k.JWKS(testStart); err == nil {
		t.Error("they were published")
	}
	if err := k.Rotate(testStart); err == nil {
		t.Error("they were rotated")
	}
}

// TestRotateFails puts a directory where the new file is written first, as a
// full disk or a crash would: the old keys must stay as they are.
func TestRotateFails(t *testing.T) {
	k := openKeys(t, filepath.Join(t.TempDir(), "keys"), "")
	before := list(t, k)
	block := k.path() + ".tmp"
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate(testStart); err == nil {
		t.Fatal("rotated")
	}
	if diff := cmp.Diff(before, list(t, k)); diff != "" {
		t.Errorf("a failed rotation changed the keys:\n%s", diff)
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves behind does not stand in the way.
	if err := os.WriteFile(block, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate(testStart); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(block); !os.IsNotExist(err) {
		t.Error("the temporary file is still there")
	}
}

func TestSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k := openKeys(t, dir, "")
	a, err := k.Secret("approvals")
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.Secret("inbox")
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 32 || bytes.Equal(a, b) || bytes.Equal(a, make([]byte, 32)) {
		t.Errorf("secrets of %d and %d bytes", len(a), len(b))
	}
	again, err := openKeys(t, dir, "").Secret("approvals")
	if err != nil || !bytes.Equal(a, again) {
		t.Errorf("another process reads another secret (%v)", err)
	}
	for _, name := range []string{"", "../x", "A", "x.y", "-x", strings.Repeat("a", 65)} {
		if _, err := k.Secret(name); err == nil {
			t.Errorf("%q is a name for a secret", name)
		}
	}
	path := filepath.Join(dir, "approvals.secret")
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Secret("approvals"); err == nil || !strings.Contains(err.Error(), "run: chmod 0600 "+path) {
		t.Errorf("a secret that others can read: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("00ff"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Secret("approvals"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a short secret: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Secret("approvals"); err == nil {
		t.Error("a secret without a directory")
	}
	if err := k.Rotate(testStart); err == nil {
		t.Error("a rotation without a directory")
	}
}

// A secret that another process rotates, or opens to others, is seen at the next look.
func TestSecretOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	keys, err := OpenKeys(filepath.Join(dir, "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenKeys(filepath.Join(dir, "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	was, err := keys.Secret("bearer")
	if err != nil {
		t.Fatal(err)
	}
	clear(was) // whoever has it cannot change what is kept
	again, err := keys.Secret("bearer")
	if err != nil || bytes.Equal(was, again) {
		t.Fatalf("the secret that is kept was changed, %v", err)
	}
	rotated, err := other.RotateSecret("bearer")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.Secret("bearer"); err != nil || !bytes.Equal(got, rotated) {
		t.Errorf("after a rotation by another the secret is the one before, %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "keys", "bearer.secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Secret("bearer"); err == nil {
		t.Error("a secret that others can read is given out")
	}
}
