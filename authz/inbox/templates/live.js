// Says when the page does not show any more how things stand. It moves nothing
// under a finger: only a list that nobody is using is loaded anew.
const page = document.querySelector('[data-live]');
const { live, again, key, state } = page.dataset;

const say = (text) => {
  page.textContent = text + ' ';
  const link = document.createElement('a');
  link.href = location.href;
  link.textContent = 'Show how it stands now';
  page.append(link);
  page.hidden = false;
};
const used = () => scrollY > 0 || getSelection().type === 'Range' ||
  document.activeElement !== document.body || document.querySelector('details[open]') !== null;
const moving = state === 'approved' || state === 'sending';

const told = (now) => {
  if (key !== undefined && now.key !== key) {
    if (used()) say('This list has changed: ' + now.calls + (now.calls === 1 ? ' call waits.' : ' calls wait.'));
    else location.replace(again);
  }
  if (state !== undefined && now.state !== state) {
    if (state.startsWith('pending') && now.state.startsWith('pending')) {
      say('Another person has approved this call, and more have to.');
    } else if (state.startsWith('pending')) {
      for (const button of document.querySelectorAll('.decide button')) button.disabled = true;
      say('This call does not wait any more: it was decided somewhere else, or its time is over.');
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
