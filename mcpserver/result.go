package mcpserver

import (
	"encoding/base64"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/tools"
)

// dispositionMeta is where SEP-2848 puts what became of a held call.
const dispositionMeta = "io.modelcontextprotocol/tool-approval-disposition"

// newResult is an answer in MCP's form.
func newResult(r tools.Result) *mcp.CallToolResult {
	envelope := r.JSON()
	out := &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(string(envelope))},
		StructuredContent: envelope,
		IsError:           r.IsError(),
	}
	for _, b := range r.Blocks {
		out.Content = append(out.Content, block(b))
	}
	if r.Disposition != "" {
		out.Meta = mcp.NewMetaFromMap(map[string]any{dispositionMeta: r.Disposition})
	}
	return out
}

func block(b tools.Block) mcp.Content {
	data := base64.StdEncoding.EncodeToString(b.Data)
	switch {
	case strings.HasPrefix(b.MediaType, "image/"):
		return mcp.NewImageContent(data, b.MediaType)
	case strings.HasPrefix(b.MediaType, "audio/"):
		return mcp.NewAudioContent(data, b.MediaType)
	}
	return mcp.NewEmbeddedResource(mcp.BlobResourceContents{URI: "exeat:response", MIMEType: b.MediaType, Blob: data})
}
