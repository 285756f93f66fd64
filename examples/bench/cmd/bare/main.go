// Command bare is the smallest useful server on mark3labs/mcp-go: one tool that
// calls the upstream. It decides, mints and logs nothing.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/examples/bench/internal/petapi"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9201", "loopback address of the HTTP endpoint /mcp")
	stdio := flag.Bool("stdio", false, "serve stdin and stdout instead")
	upstream := flag.String("upstream", "http://127.0.0.1:9100", "REST API")
	flag.Parse()

	api := petapi.New(*upstream)
	srv := server.NewMCPServer("bare", "1", server.WithToolCapabilities(false))
	handler := func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		id, err := req.RequireInt("petId")
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		text, err := api.Get(ctx, int64(id))
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		return mcp.NewToolResultText(text), nil
	}
	srv.AddTool(mcp.NewTool("getPet", mcp.WithDescription("Returns one pet by its id."),
		mcp.WithNumber("petId", mcp.Required(), mcp.Description("the pet's id"))), handler)
	if *stdio {
		log.Fatal(server.ServeStdio(srv))
	}
	http.Handle("/mcp", server.NewStreamableHTTPServer(srv))
	log.Fatal(http.ListenAndServe(*addr, nil))
}
