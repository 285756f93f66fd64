package mcpserver

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
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
		StructuredContent: json.RawMessage(appendValue(nil, envelope)),
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

// isLargeInteger reports an integer beyond 2^53-1 (RFC 8259 §6).
func isLargeInteger(number string) bool {
	digits := strings.TrimPrefix(number, "-")
	if len(digits) < 16 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return err != nil || n > 1<<53-1
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
