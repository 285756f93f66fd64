// What a page of a call does with a script: times in the zone of who looks, the time that
// is left, what has to be looked at, and the second motion for a call that deletes or is marked.
const language = document.documentElement.lang;
const clock = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'long' });
for (const time of document.querySelectorAll('time[datetime]')) {
  const at = new Date(time.dateTime);
  if (at.getTime() > 0) time.textContent = clock.format(at);
}

// The time that is left is the server's: this machine's clock may be wrong.
const left = document.querySelector('[data-left]');
if (left) {
  const end = performance.now() + left.dataset.left * 1000;
  const two = (n) => String(n).padStart(2, '0');
  const tell = () => {
    const s = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    left.textContent = h ? h + ':' + two(m) + ':' + two(s % 60) : m + ':' + two(s % 60);
    left.closest('.left')?.classList.toggle('soon', s < 60);
  };
  tell();
  setInterval(tell, 1000);
}

// What has to be looked at counts once all of its mark is on the screen for a moment,
// above the bar. What is folded has no place there until it is opened.
const tick = (must) => {
  if (document.hidden) return;
  must.querySelector('input').checked = true;
  looks.unobserve(must);
  next();
};
// What stands beside a mark is part of it: it is opened first.
const folded = (must) => must.closest('[id^=must-]').tagName !== 'DETAILS' && must.closest('[id^=must-]').querySelector('details:not([open])');
const bar = document.querySelector('.bar');
const waiting = new Map();
const looks = new IntersectionObserver((entries) => {
  for (const e of entries) {
    clearTimeout(waiting.get(e.target));
    if (!e.isIntersecting) continue;
    waiting.set(e.target, setTimeout(() => { if (!folded(e.target)) tick(e.target); }, 700));
  }
}, { threshold: 1, rootMargin: '0px 0px -' + (bar ? bar.offsetHeight : 0) + 'px 0px' });
const next = () => {
  const open = document.querySelector('.must input:not(:checked)');
  const link = document.querySelector('.closed');
  if (open && link) link.href = '#must-' + open.value;
};
for (const must of document.querySelectorAll('.must')) {
  looks.observe(must);
  must.closest('[id^=must-]').addEventListener('toggle', () => { if (!folded(must)) setTimeout(tick, 700, must); }, true);
}
addEventListener('hashchange', () => {
  const fold = document.querySelector(location.hash || 'x');
  for (const one of fold ? [fold, ...fold.querySelectorAll('details')] : []) one.open = true;
});

// A call that deletes is approved by a button that is held for a second, by pointer or
// key. Who cannot hold one, as with a screen reader, ticks the box instead.
const form = document.querySelector('form.risk');
if (form) {
  const button = form.querySelector('button'), sure = form.elements.sure, said = button.querySelector('[data-hold]');
  const label = sure.closest('label');
  label.hidden = true;
  said.textContent = said.dataset.hold;
  let timer = 0;
  const begin = () => {
    if (timer || sure.checked || button.disabled) return;
    button.classList.add('held');
    timer = setTimeout(() => { sure.checked = true; form.requestSubmit(button); }, 1000);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    button.classList.remove('held');
  };
  button.addEventListener('pointerdown', (e) => { if (e.isPrimary && e.button === 0) begin(); });
  for (const name of ['pointerup', 'pointerleave', 'pointercancel', 'blur']) button.addEventListener(name, stop);
  button.addEventListener('contextmenu', (e) => e.preventDefault());
  button.addEventListener('keydown', (e) => {
    if (sure.checked || e.key !== 'Enter' && e.key !== ' ') return;
    e.preventDefault();
    begin();
  });
  button.addEventListener('keyup', stop);
  form.addEventListener('submit', (e) => { if (!sure.checked) e.preventDefault(); });
  button.addEventListener('click', (e) => {
    if (sure.checked) return;
    e.preventDefault();
    if (e.detail) return; // a pointer that was not held
    label.hidden = false;
    sure.focus();
  });
}
