// Verifies requests with tokens of exeat, as docs/token.md says. Throws what is wrong.
import {createHash} from 'node:crypto'
import {isDeepStrictEqual} from 'node:util'
import {compactVerify} from 'jose'

// verifier({issuer, audience, keys, spend, requireApproval}) returns a function of a
// request {method, target, headers: [[name, value], …], body: Buffer}, which answers with
// the claims. keys is one of jose's: createRemoteJWKSet(url), createLocalJWKSet(set).
// spend(id, until) answers true the first time, for all processes of the API.
export const verifier = ({issuer, audience, keys, spend, requireApproval = false, now = () => Date.now() / 1000}) => async request => {
  const token = must(/^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(must(only(request, 'authorization'), 'no token').slice(0, 8193)), 'malformed token')[1]
  const [header, c] = token.split('.', 2).map(part => parse(Buffer.from(part, 'base64url')))
  must(Object.keys(header).sort().join() === 'alg,kid,typ' && header.typ === 'at+jwt' && token.length < 8186, 'bad header')
  await compactVerify(token, keys, {algorithms: ['EdDSA', 'ES256']})
  must(c.iss === issuer && c.aud === audience && !('cnf' in c) && [c.sub, c.client_id, c.jti, c.txn].every(isText), 'bad claims')
  must([c.iat, c.exp, c.nbf ?? c.iat].every(Number.isInteger) && c.iat < c.exp && c.exp - c.iat <= 60 && Math.max(c.iat, c.nbf ?? 0) - 5 <= now() && now() < c.exp + 5, 'bad times')
  must(isDeepStrictEqual(c.authorization_details, [bound(request, audience, c.authorization_details?.[0])]), 'another request')
  const approval = known(c, requireApproval), digest = createHash('sha256').update(canonical(c.authorization_details[0])).digest('hex')
  must(!approval || approval.details === digest && approval.until >= Math.floor(now()), 'not approved')
  must(await spend(`${issuer} ${c.jti}`, c.exp + 5) && (!approval?.once || await spend(`${issuer} approval:${approval.id}`, approval.until + 5)), 'spent')
  return c
}

const must = (value, wrong) => { if (!value) throw new Error(wrong); return value }
const isText = value => typeof value === 'string' && value !== ''
const has = (object, ...names) => isDeepStrictEqual(Object.keys(object ?? {}).filter(name => !names.includes(name + '?')).sort(), names.filter(name => !name.endsWith('?')).sort())

// only is the value of a header that may be there once.
function only({headers}, name) {
  const values = headers.filter(([n]) => n.toLowerCase() === name)
  must(values.length <= 1, `several headers ${name}`)
  return values[0]?.[1]
}

// parse reads an object in UTF-8 that has no name twice.
function parse(bytes) {
  const text = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes)
  let names = 0
  const value = JSON.parse(text, function (name, value) { if (!Array.isArray(this)) names++; return value })
  const written = [...text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:?)/g)].filter(match => match[1]).length + 1
  return must(value && typeof value === 'object' && !Array.isArray(value) && names === written && value, 'not one object')
}

// bound is the object that a token for this request has; names it takes from the token.
function bound(request, audience, details) {
  must(/^identity$|^$/i.test(only(request, 'content-encoding') ?? ''), 'content coding')
  const headers = Object.fromEntries(['if-match', 'idempotency-key', ...Object.keys(details?.request?.headers ?? {})]
    .map(name => [name, only(request, name)]).filter(([, value]) => value !== undefined))
  const type = only(request, 'content-type')
  return {
    type: 'urn:exeat:call:1', locations: [audience], actions: [request.method], identifier: details?.identifier,
    ...details && 'document' in details && {document: details.document},
    request: {
      target: must(request.target.startsWith('/') && request.target, 'bad target'),
      ...type !== undefined && {content_type: type},
      content_digest: `sha-256=:${createHash('sha256').update(request.body).digest('base64')}:`,
      ...Object.keys(headers).length > 0 && {headers},
    },
  }
}

// known takes the approval, and refuses members that nobody knows.
function known(c, requireApproval) {
  const approval = c['urn:exeat:approval'], decision = c['urn:exeat:decision']
  must(isText(c.authorization_details[0].identifier), 'bad details')
  must(!('act' in c) || has(c.act, 'sub', 'sub_profile') && isText(c.act.sub), 'bad act')
  must(!('urn:exeat:decision' in c) || has(decision, 'id', 'policies', 'effect?') && ['read', 'write', 'delete', undefined].includes(decision.effect), 'bad decision')
  must(!('urn:exeat:approval' in c) || has(approval, 'id', 'by', 'at', 'until', 'once', 'amr?', 'details') && Number.isInteger(approval.until) && typeof approval.once === 'boolean', 'bad approval')
  must(approval || !requireApproval || decision?.effect === 'read', 'not approved')
  return approval
}

// canonical is the RFC 8785 form of objects, arrays and strings.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'string') return JSON.stringify(value)
  return `{${Object.keys(value).sort().map(name => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}
