// Shows messages of exeat and opens the page they are about. It has no other
// use: it fetches nothing, keeps nothing and answers no request of a page.
self.addEventListener('push', (event) => {
  let message = { title: 'exeat: calls wait for you', text: '', path: '/', tag: 'exeat' };
  try {
    message = Object.assign(message, event.data.json());
  } catch (e) { /* a push without a payload still tells that something waits */ }
  event.waitUntil(self.registration.showNotification(String(message.title), {
    body: String(message.text), tag: String(message.tag), data: String(message.path), requireInteraction: true,
  }));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const path = String(event.notification.data);
  const page = /^\/(h\/hold_[a-z2-7]{26})?$/.test(path) ? path : '/';
  event.waitUntil(self.clients.openWindow(new URL(page, self.location.origin).href));
});
