// Asks the browser for a subscription and hands it in with the page's own form.
const form = document.getElementById('subscribe');
const told = document.getElementById('status');
const field = (name, value) => { form.elements[name].value = value; };
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

const active = (worker) => worker.active ? Promise.resolve() : new Promise((done) => {
  const next = worker.installing || worker.waiting;
  next.addEventListener('statechange', () => { if (next.state === 'activated') done(); });
});

if (form && 'serviceWorker' in navigator && 'PushManager' in window) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      const worker = await navigator.serviceWorker.register('/push/worker.js', { scope: '/push/' });
      await active(worker);
      const key = Uint8Array.from(atob(form.dataset.key.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
      const sub = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
      field('endpoint', sub.endpoint);
      field('p256dh', text(sub.getKey('p256dh')));
      field('auth', text(sub.getKey('auth')));
      form.submit();
    } catch (e) {
      told.textContent = 'This browser did not subscribe: ' + e.message;
    }
  });
} else if (told) {
  told.textContent = 'This browser cannot get messages here. It needs a browser with Web Push, and the inbox on https or on this machine.';
}
