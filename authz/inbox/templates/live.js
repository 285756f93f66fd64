// Says when the page does not show any more how things stand. It moves nothing
// under a finger: only a list that nobody is using is loaded anew.
const page = document.querySelector('[data-live]');
const { live, again, key, state, changed, more, over, show } = page.dataset; // the texts come with the page

// An installed inbox shows on its icon how many calls wait; elsewhere there is no badge.
if (page.dataset.count && navigator.setAppBadge) navigator.setAppBadge(Number(page.dataset.count)).catch(() => {});

const say = (text) => {
  page.textContent = text + ' ';
  const link = document.createElement('a');
  link.href = location.href;
  link.textContent = show;
  page.append(link);
  page.hidden = false;
};
const used = () => scrollY > 0 || getSelection().type === 'Range' ||
  document.activeElement !== document.body || document.querySelector('details[open]') !== null;
const moving = state === 'approved' || state === 'sending';

const told = (now) => {
  if (key !== undefined && now.key !== key) {
    if (used()) say(changed);
    else location.replace(again);
  }
  if (state !== undefined && now.state !== state) {
    if (state.startsWith('pending') && now.state.startsWith('pending')) {
      say(more);
    } else if (state.startsWith('pending')) {
      for (const button of document.querySelectorAll('.decide button')) button.disabled = true;
      say(over);
    } else if (moving) location.replace(again);
  }
};

let events = null;
const listen = () => {
  if (document.hidden) { // a page that nobody sees holds no connection
    if (events) events.close();
    events = null;
  } else if (!events) {
    events = new EventSource(live);
    events.onmessage = (event) => told(JSON.parse(event.data));
    events.onerror = () => {
      if (events.readyState === EventSource.CLOSED && moving) setTimeout(() => location.replace(again), 3000);
    };
  }
};
document.addEventListener('visibilitychange', listen);
listen();
