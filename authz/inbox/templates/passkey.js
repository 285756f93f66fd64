// Asks the browser for a passkey and hands the answer in with the page's own form.
const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const ids = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

// answer is a credential in the form of AuthenticationResponseJSON or
// RegistrationResponseJSON (WebAuthn Level 3 §5.1).
const answer = (credential) => {
  const r = credential.response;
  const out = { clientDataJSON: text(r.clientDataJSON) };
  for (const name of ['attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    if (r[name]) out[name] = text(r[name]);
  }
  if (r.getTransports) out.transports = r.getTransports();
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment || undefined,
    clientExtensionResults: credential.getClientExtensionResults(), response: out });
};

const ask = async (form) => {
  const o = JSON.parse(form.dataset.passkey);
  o.challenge = bytes(o.challenge);
  if (form.dataset.make) {
    o.user.id = bytes(o.user.id);
    o.excludeCredentials = ids(o.excludeCredentials);
    return navigator.credentials.create({ publicKey: o });
  }
  o.allowCredentials = ids(o.allowCredentials);
  return navigator.credentials.get({ publicKey: o });
};

for (const form of document.querySelectorAll('form[data-passkey]')) {
  const status = form.querySelector('[role=status]');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    status.textContent = form.dataset.wait;
    try {
      form.elements.answer.value = answer(await ask(form));
      form.submit();
    } catch (e) {
      status.textContent = form.dataset.none + ' ' + e.message;
    }
  });
}
