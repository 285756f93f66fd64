package mcpserver

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/openapi/strictjson"
	"github.com/exeat/exeat/tools"
)

// dispositionMeta is where SEP-2848 puts what became of a held call.
const dispositionMeta = "io.modelcontextprotocol/tool-approval-disposition"

// newResult is an answer in MCP's form.
func newResult(r tools.Result) *mcp.CallToolResult {
	envelope := r.JSON()
	out := &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(string(envelope))},
		StructuredContent: quoteLargeNumbers(envelope),
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

// quoteLargeNumbers writes integers that a double does not hold as texts of their
// digits: JavaScript hosts would round them on the way to the model. As text
// content the answer has them as they are.
func quoteLargeNumbers(envelope json.RawMessage) json.RawMessage {
	var out []byte
	last := 0
	for i := 0; i < len(envelope); i++ {
		begin := i
		switch c := envelope[i]; {
		case c == '"':
			end, err := strictjson.ScanString(envelope, i)
			if err != nil {
				return envelope
			}
			i = end - 1
		case c == '-' || c >= '0' && c <= '9':
			end, err := strictjson.ScanScalar(envelope, i)
			if err != nil {
				return envelope
			}
			i = end - 1
			if number := envelope[begin:end]; isLargeInteger(string(number)) {
				out = append(append(append(append(out, envelope[last:begin]...), '"'), number...), '"')
				last = end
			}
		}
	}
	if last == 0 {
		return envelope
	}
	return append(out, envelope[last:]...)
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
