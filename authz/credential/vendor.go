package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxVendorAnswer bounds the answer of a vendor, in bytes.
const maxVendorAnswer = 1 << 20

// roundTrip sends a request to a vendor, and reads the JSON of its answer into into, if
// that is not nil. refusal says which statuses are none of success. The errors hold
// nothing that the vendor wrote.
func roundTrip(client *http.Client, r *http.Request, vendor string, refusal func(*http.Response) error, into any) error {
	if client == nil {
		client = direct
	}
	res, err := client.Do(r)
	if err != nil {
		var network *url.Error
		if errors.As(err, &network) {
			err = network.Err
		}
		return fmt.Errorf("%s cannot be reached: %w", vendor, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxVendorAnswer+1))
	if refused := refusal(res); refused != nil {
		return refused
	}
	switch {
	case err != nil || len(text) > maxVendorAnswer:
		return fmt.Errorf("the answer of %s cannot be read to its end", vendor)
	case into != nil && json.Unmarshal(text, into) != nil:
		return errors.New("the answer of " + vendor + " is not what its documentation says")
	}
	return nil
}

// hostOf is the host of a URL, which names a vendor in entries.
func hostOf(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return u.Host
}
