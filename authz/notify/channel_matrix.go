package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// matrix is a home server and the rooms to tell.
type matrix struct {
	base           string
	user, password string // without a user the password is an access token
	rooms          []string
}

// newMatrix: matrix://USER:PASSWORD@HOST/?rooms=ALIAS,!ID, or matrix://:TOKEN@HOST/….
func newMatrix(a *address) (sender, error) {
	s := &matrix{base: a.web(a.Host, "_matrix", "client", "v3"), user: a.User.Username(), password: a.password(), rooms: a.list("rooms", "room")}
	if a.Host == "" || s.password == "" || len(s.rooms) == 0 {
		return nil, errLacks
	}
	for i, room := range s.rooms {
		if room[0] != '#' && room[0] != '!' {
			s.rooms[i] = "#" + room
		}
	}
	return s.send, nil
}

func (s *matrix) send(ctx context.Context, c *http.Client, m Message) error {
	token := s.password
	if s.user != "" {
		login := map[string]any{"type": "m.login.password", "password": s.password, "identifier": fields("type", "m.id.user", "user", s.user)}
		var err error
		if token, err = member(postJSON(ctx, c, join(s.base, "login"), nil, login))("access_token"); err != nil {
			return err
		}
	}
	head := header("Authorization", "Bearer "+token)
	for _, room := range s.rooms {
		id, err := member(postJSON(ctx, c, join(s.base, "join", room), head, struct{}{}))("room_id")
		if err != nil {
			return err
		}
		body, err := json.Marshal(fields("msgtype", "m.text", "body", m.all()))
		if err != nil {
			return err
		}
		// The server drops what it has had under the same transaction.
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, join(s.base, "rooms", id, "send", "m.room.message", m.ID), bytes.NewReader(body))
		if err != nil {
			return errOther
		}
		r.Header = head.Clone()
		r.Header.Set("Content-Type", "application/json")
		if _, err := post(c, r); err != nil {
			return err
		}
	}
	return nil
}

// member reads one text of an answer.
func member(answer []byte, err error) func(name string) (string, error) {
	return func(name string) (string, error) {
		var all map[string]any
		if err != nil {
			return "", err
		}
		if json.Unmarshal(answer, &all) != nil {
			return "", errOther
		}
		text, _ := all[name].(string)
		if strings.TrimSpace(text) == "" {
			return "", errOther
		}
		return text, nil
	}
}
