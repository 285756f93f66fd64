package inbox

import (
	"net/http"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/store"
)

func (in *Inbox) sessionRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /sessions", in.page(in.sessionPage))
	mux.HandleFunc("POST /sessions/{id}/revoke", in.page(in.revokeSession))
	mux.HandleFunc("POST /sessions/others/revoke", in.page(in.revokeOthers))
}

// maxAgentName bounds what a browser says of itself, in characters.
const maxAgentName = 200

// browserName is what the client of a login says it is. It proves nothing.
func browserName(r *http.Request) string {
	name := []rune(strings.ToValidUTF8(strings.TrimSpace(r.UserAgent()), "\uFFFD"))
	return string(name[:min(len(name), maxAgentName)])
}

type sessionsPage struct {
	frame
	Logins []loginRow
	Others bool // there are some besides this one

	Access []devissuer.Access // what the person lets clients do
}

type loginRow struct {
	ID, How, Agent   string
	This             bool
	Since, Used, End time.Time
}

// sessionPage lists who is logged in as this person. Other exeat processes have
// logins of their own.
func (in *Inbox) sessionPage(w http.ResponseWriter, r *http.Request, s session) error {
	p := sessionsPage{frame: in.newFrame("Logins", s)}
	for _, x := range in.logins.of(s.who.Name(), in.now()) {
		end := x.used.Add(idleEnd)
		if last := x.since.Add(absoluteEnd); last.Before(end) {
			end = last
		}
		p.Logins = append(p.Logins, loginRow{ID: x.id, How: x.how, Agent: x.agent, This: x.id == s.id, Since: x.since, Used: x.used, End: end})
	}
	p.Others = len(p.Logins) > 1
	if in.c.Issuer != nil {
		var err error
		if p.Access, err = in.c.Issuer.AccessOf(r.Context(), s.who); err != nil {
			return err
		}
	}
	return render(w, http.StatusOK, "sessions.html", p)
}

// revokeSession ends one login of this person; another person's is not found.
func (in *Inbox) revokeSession(w http.ResponseWriter, r *http.Request, s session) error {
	id := r.PathValue("id")
	if in.logins.revoke(s.who.Name(), func(x session) bool { return x.id == id }) == 0 {
		return errNoLogin
	}
	return in.recordLogout(w, r, s, "ended a login")
}

func (in *Inbox) revokeOthers(w http.ResponseWriter, r *http.Request, s session) error {
	in.logins.revoke(s.who.Name(), func(x session) bool { return x.id != s.id })
	return in.recordLogout(w, r, s, "ended all other logins")
}

func (in *Inbox) recordLogout(w http.ResponseWriter, r *http.Request, s session, note string) error {
	err := in.c.Store.Update(r.Context(), func(tx *store.Tx) error {
		return tx.Append(store.Entry{Kind: store.KindLogout, Time: in.now(), Principal: s.who.Name(), By: s.who.Name(), Note: note})
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/sessions", http.StatusSeeOther)
	return nil
}
