package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/store"
)

// pushRoutes adds the page where a person switches messages to this browser on.
func (in *Inbox) pushRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /push", in.page(in.pushPage))
	mux.HandleFunc("POST /push", in.page(in.subscribe))
	mux.HandleFunc("POST /push/{id}/remove", in.page(in.unsubscribe))
	mux.HandleFunc("GET /push/page.js", serve("push/page.js", "text/javascript"))
	// A worker at /push/ controls nothing but that folder.
	mux.HandleFunc("GET /push/worker.js", serve("push/worker.js", "text/javascript"))
}

type pushPageData struct {
	frame
	Key      string // of exeat, for the browser; "" if there is no Web Push
	Browsers []browser
}

// browser is a subscription as its person sees it: without what it takes to send
// to it.
type browser struct {
	ID, Service string
	Since       time.Time
}

func (in *Inbox) pushPage(w http.ResponseWriter, r *http.Request, s session) error {
	p := pushPageData{frame: in.newFrame("Messages to this browser", s)}
	if in.c.Push != nil {
		p.Key = in.c.Push.Key()
	}
	var subs []store.Subscription
	if err := in.c.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		subs, err = tx.Subscriptions(s.who.Name())
		return err
	}); err != nil {
		return err
	}
	for _, sub := range subs {
		b := browser{ID: sub.ID, Since: sub.Created}
		if u, err := url.Parse(sub.Endpoint); err == nil {
			b.Service = u.Hostname()
		}
		p.Browsers = append(p.Browsers, b)
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	return render(w, http.StatusOK, "push.html", p)
}

func (in *Inbox) subscribe(w http.ResponseWriter, r *http.Request, s session) error {
	if in.c.Push == nil {
		return approval.ErrNotFound
	}
	principal, err := json.Marshal(s.who.Person().Principal)
	if err != nil {
		return err
	}
	sub := store.Subscription{ID: newToken(), Person: s.who.Name(), Principal: principal, Endpoint: r.PostForm.Get("endpoint"),
		P256dh: r.PostForm.Get("p256dh"), Auth: r.PostForm.Get("auth"), Created: in.now()}
	if !notify.ValidSubscription(sub) {
		return errRequest
	}
	err = in.c.Store.Update(r.Context(), func(tx *store.Tx) error {
		if err := tx.Subscribe(sub); err != nil {
			return err
		}
		return tx.Append(store.Entry{Kind: store.KindPush, Time: sub.Created, Principal: sub.Person, By: sub.Person, Note: "a browser gets messages from now on"})
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/push", http.StatusSeeOther)
	return nil
}

func (in *Inbox) unsubscribe(w http.ResponseWriter, r *http.Request, s session) error {
	id := r.PathValue("id")
	err := in.c.Store.Update(r.Context(), func(tx *store.Tx) error {
		if err := tx.Unsubscribe(s.who.Name(), id); err != nil {
			return err
		}
		return tx.DropNotices(approval.PushChannel(id))
	})
	if errors.Is(err, store.ErrNotFound) {
		err = approval.ErrNotFound
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/push", http.StatusSeeOther)
	return nil
}

// down says which channels do not work, by their names.
func (in *Inbox) down(ctx context.Context) []string {
	if in.c.Notifier == nil {
		return nil
	}
	list, err := in.c.Notifier.Health(ctx)
	if err != nil {
		return nil // the page says so by itself
	}
	var out []string
	for _, h := range list {
		if h.Problem != "" {
			text := fmt.Sprintf("The channel %s %s", h.Name, h.Problem)
			if h.Failed > 0 {
				text += fmt.Sprintf("; %d messages were given up", h.Failed)
			}
			out = append(out, text+".")
		}
	}
	return out
}
