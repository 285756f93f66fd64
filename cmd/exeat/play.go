package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// play is the scripted agent.
func (d *demo) play(ctx context.Context) error {
	agent, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer agent.Close()
	after := d.replay
	if d.keycloak != nil {
		after = d.elsewhere
	}
	for _, scene := range []func(context.Context, *client.Client) error{d.listTools, d.readPet, d.deletePet, after, d.auditLog} {
		if err := scene(ctx, agent); err != nil {
			return err
		}
	}
	d.say("\nThat was exeat. Next: exeat http YOUR-OPENAPI-FILE, or exeat demo --keep to use a host of yours.")
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) scene(format string, args ...any) {
	d.say("\n── "+format+" "+strings.Repeat("─", 12), args...)
}

// connect is a real MCP client, over streamable HTTP.
func (d *demo) connect(ctx context.Context) (*client.Client, error) {
	c, err := client.NewStreamableHttpClient(d.mcpURL, transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + d.bearer}))
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "demo-agent", Version: "1"}
	_, err = c.Initialize(ctx, hello)
	return c, err
}

func (d *demo) listTools(ctx context.Context, agent *client.Client) error {
	d.scene("1. The agent lists its tools")
	list, err := agent.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return err
	}
	for _, t := range list.Tools {
		kind := "write"
		if *t.Annotations.ReadOnlyHint {
			kind = "read"
		}
		d.say("  %-14s %-5s %s", t.Name, kind, t.Title)
	}
	return nil
}

// call makes a tool call and returns the envelope, as the agent sees it.
func (d *demo) call(ctx context.Context, agent *client.Client, name string, args map[string]any) (tools.Envelope, error) {
	var e tools.Envelope
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = name, args
	b, err := json.Marshal(args)
	if err != nil {
		return e, err
	}
	d.say("  agent calls %s %s", name, b)
	res, err := agent.CallTool(ctx, req)
	if err != nil {
		return e, err
	}
	text, ok := mcp.AsTextContent(res.Content[0])
	if !ok {
		return e, fmt.Errorf("%w: the answer to %s is no text", errNotAsExpected, name)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(text.Text), "  ", "  "); err != nil {
		return e, err
	}
	d.say("  %s", pretty.String())
	return e, json.Unmarshal([]byte(text.Text), &e)
}

func (d *demo) readPet(ctx context.Context, agent *client.Client) error {
	d.scene("2. It reads a pet: the policies allow that")
	e, err := d.call(ctx, agent, "get_pet", map[string]any{"petId": 1})
	if err != nil {
		return err
	}
	if e.Status != tools.Done || e.HTTPStatus != http.StatusOK {
		return fmt.Errorf("%w: reading a pet gave %s %s", errNotAsExpected, e.Status, e.Reason)
	}
	if err := d.lastEntry(ctx, store.KindCall); err != nil {
		return err
	}
	return d.showToken()
}

// lastEntry shows what the log says of the newest entry of a kind.
func (d *demo) lastEntry(ctx context.Context, kind store.Kind) error {
	var last store.Entry
	err := d.gateway.store.Entries(ctx, 0, func(e store.Entry) error {
		if e.Kind == kind {
			last = e
		}
		return nil
	})
	d.say("  decision: %s, by %s", last.Decision, strings.Join(last.Policies, ", "))
	return err
}

// showToken shows the claims of the token that the last request carried.
func (d *demo) showToken() error {
	r := d.seen.last()
	if r == nil {
		return fmt.Errorf("%w: no request has reached the guard", errNotAsExpected)
	}
	compact := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%w: the request carried no token", errNotAsExpected)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, claims, "  ", "  "); err != nil {
		return err
	}
	good := fmt.Sprintf("good for %s %s", r.Method, r.RequestURI)
	if d.keycloak != nil {
		good = "which Keycloak minted for it"
	}
	d.say("  the request left with a token of its own (signature cut), %s:\n  %s", good, pretty.String())
	return nil
}

func (d *demo) deletePet(ctx context.Context, agent *client.Client) error {
	d.scene("3. It tries to delete one: that needs a person")
	e, err := d.call(ctx, agent, "delete_pet", map[string]any{"petId": 1})
	if err != nil {
		return err
	}
	if e.Status != tools.Pending || d.shop.writes.Load() != 0 {
		return fmt.Errorf("%w: deleting a pet gave %s, and the shop counts %d writes", errNotAsExpected, e.Status, d.shop.writes.Load())
	}
	d.scene("4. You decide")
	if d.approveAfter > 0 {
		d.say("  approving in %s, as a person would: login, page, form", d.approveAfter)
		d.jobs.Go(func() error {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(d.approveAfter):
				if d.keycloak != nil {
					return d.approveAsAlice(ctx, e.ApprovalURL)
				}
				return approveAs(ctx, d.login, e.ApprovalURL)
			}
		})
	} else if d.keycloak != nil {
		d.say("  decide at: %s\n  There you log in at Keycloak as alice, with the password %s\n  Waiting for you…", e.ApprovalURL, d.keycloak.secrets["ALICE-PASSWORD"])
	} else {
		d.say("  log in (once):  %s\n  then decide at: %s\n  The agent has only the second link; it does not log in. Waiting for you…", d.login, e.ApprovalURL)
	}
	for e.Status == tools.Pending {
		if e, err = d.call(ctx, agent, "exeat_resume", map[string]any{"handle": e.Handle, "wait_seconds": 50}); err != nil {
			return err
		}
	}
	if e.Status == tools.Denied {
		d.say("  You denied it. Nothing was sent; the shop counts %d writes.", d.shop.writes.Load())
		return nil
	}
	if e.Status != tools.Done || e.HTTPStatus != http.StatusNoContent || d.shop.writes.Load() != 1 {
		return fmt.Errorf("%w: the approved call gave %s %d, and the shop counts %d writes", errNotAsExpected, e.Status, e.HTTPStatus, d.shop.writes.Load())
	}
	d.say("  the shop counts %d write", d.shop.writes.Load())
	return d.showToken()
}

// replay uses the spent token again, straight at the guard.
func (d *demo) replay(ctx context.Context, _ *client.Client) error {
	d.scene("5. Somebody replays the spent token at the guard")
	r := <-d.seen.requests
	req, err := http.NewRequestWithContext(ctx, r.Method, d.guardURL+r.RequestURI, nil)
	if err != nil {
		return err
	}
	req.Header = r.Header.Clone() // the token is for these, too
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	d.say("  %s %s → %s\n  %s", r.Method, r.RequestURI, resp.Status, bytes.TrimSpace(body))
	if resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%w: the guard let a spent token through", errNotAsExpected)
	}
	return nil
}

func (d *demo) auditLog(ctx context.Context, _ *client.Client) error {
	d.scene("6. The audit log has all of it, and its chain holds")
	err := d.gateway.store.Entries(ctx, 0, func(e store.Entry) error {
		d.say("  %2d  %-7s %-5s %-12s %s %s %s", e.Seq, e.Kind, e.Decision, e.Tool, strings.Join(e.Policies, ","), e.By, e.Strategy)
		return nil
	})
	if err != nil {
		return err
	}
	head, err := d.gateway.store.Verify(ctx)
	if err != nil {
		return err
	}
	d.say("  (Before a call is held, exeat reads what it would change: that is the second get_pet.)")
	d.say("  ok: %d entries, head %d:%.16s…", head.Seq, head.Seq, head.Hash)
	return nil
}

// hosts prints what to paste into hosts that speak HTTP or start programs.
func (d *demo) hosts() {
	d.scene("Still serving; press Ctrl-C to stop")
	d.say("  inbox:        %s\n  log in once:  %s\n", d.gateway.inbox.URL(), d.gateway.inbox.LoginLink())
	if d.keycloak != nil {
		d.say("  The token below is Keycloak's, and good for an hour.\n")
	}
	d.say("  Claude Code:  claude mcp add --transport http petstore %s --header \"Authorization: Bearer %s\"\n", d.mcpURL, d.bearer)
	entry := fmt.Sprintf(`{"url": %q, "headers": {"Authorization": "Bearer %s"}}`, d.mcpURL, d.bearer)
	d.say("  Cursor, ~/.cursor/mcp.json:\n  {\"mcpServers\": {\"petstore\": %s}}\n", entry)
	d.say("  VS Code, .vscode/mcp.json:\n  {\"servers\": {\"petstore\": {\"type\": \"http\", %s}}\n", entry[1:])
	d.say("  Claude Desktop, claude_desktop_config.json (through the mcp-remote bridge):\n  {\"mcpServers\": {\"petstore\": {\"command\": \"npx\", \"args\": [\"mcp-remote\", %q, \"--header\", \"Authorization: Bearer %s\"]}}}", d.mcpURL, d.bearer)
}
