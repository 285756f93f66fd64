package inbox

import (
	"context"
	"net/http"
	"net/url"

	"github.com/exeat/exeat/authz/approval"
)

// Rules lists the grants, blocks and stops in force that the person
// may see, newest first.
func (c *Client) Rules(ctx context.Context) ([]approval.Rule, error) {
	var rules []approval.Rule
	_, err := c.do(ctx, http.MethodGet, "/api/permissions", nil, &rules)
	return rules, err
}

// Revoke ends one of them at once.
func (c *Client) Revoke(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodPost, "/api/permissions/"+url.PathEscape(id)+"/revoke", nil, new(done))
	return err
}

// Agents lists the person's agents, those seen last first.
func (c *Client) Agents(ctx context.Context) ([]approval.AgentState, error) {
	var agents []approval.AgentState
	_, err := c.do(ctx, http.MethodGet, "/api/agents", nil, &agents)
	return agents, err
}

// Stop denies everything of an agent, and Start lets it go on.
func (c *Client) Stop(ctx context.Context, agent string) error { return c.turn(ctx, "stop", agent) }

// Start lets a stopped agent go on.
func (c *Client) Start(ctx context.Context, agent string) error { return c.turn(ctx, "start", agent) }

func (c *Client) turn(ctx context.Context, what, agent string) error {
	_, err := c.do(ctx, http.MethodPost, "/api/agents/"+what, map[string]string{"agent": agent}, new(done))
	return err
}
