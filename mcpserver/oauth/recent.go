package oauth

import (
	"container/list"
	"sync"
)

// recent keeps the values that were put or got last, up to a number of them. It
// is safe for concurrent use.
type recent[T any] struct {
	most int

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of entry[T]; the latest first
}

type entry[T any] struct {
	key   string
	value T
}

func newRecent[T any](most int) *recent[T] {
	return &recent[T]{most: most, byKey: map[string]*list.Element{}, order: list.New()}
}

func (r *recent[T]) get(key string) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byKey[key]
	if e == nil {
		var none T
		return none, false
	}
	r.order.MoveToFront(e)
	return e.Value.(entry[T]).value, true
}

// put keeps a value, unless there is one that unless holds for. nil holds for none.
func (r *recent[T]) put(key string, value T, unless func(old T) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.byKey[key]; e != nil {
		r.order.MoveToFront(e)
		if unless == nil || !unless(e.Value.(entry[T]).value) {
			e.Value = entry[T]{key, value}
		}
		return
	}
	r.byKey[key] = r.order.PushFront(entry[T]{key, value})
	if r.order.Len() > r.most {
		last := r.order.Back()
		delete(r.byKey, last.Value.(entry[T]).key)
		r.order.Remove(last)
	}
}
