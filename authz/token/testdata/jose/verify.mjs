// Reads {jwks, issuer, audience, now, cases: [{token, request}]} from stdin and
// writes for each case what jose says of the token, and the digest of the
// request as docs/token.md describes it. Of exeat's code it uses none.
//
//   EXEAT_JOSE_DIR=directory/with/node_modules node verify.mjs <cases.json
import {createHash} from 'node:crypto'
import {createRequire} from 'node:module'
import {text} from 'node:stream/consumers'
import {pathToFileURL} from 'node:url'

const here = createRequire(import.meta.url)
const {createLocalJWKSet, jwtVerify} = await import(pathToFileURL(here.resolve('jose', {paths: [process.env.EXEAT_JOSE_DIR]})))

const sha256 = (data, encoding) => createHash('sha256').update(data).digest(encoding)

// JSON.stringify writes strings as RFC 8785 asks; the members must be sorted.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.keys(value).sort().map(name => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

function details(audience, {method, target, contentType, headers, body, operation, document}) {
  const request = {target, content_digest: `sha-256=:${sha256(Buffer.from(body ?? '', 'base64'), 'base64')}:`}
  if (contentType) request.content_type = contentType
  if (headers && Object.keys(headers).length > 0) request.headers = headers
  const all = {type: 'urn:exeat:call:1', locations: [audience], actions: [method], identifier: operation, request}
  if (document) all.document = document
  return all
}

const {jwks, issuer, audience, now, cases} = JSON.parse(await text(process.stdin))
const keys = createLocalJWKSet(jwks)
const results = []
for (const {token, request} of cases) {
  const wanted = canonical(details(audience, request))
  const result = {digest: sha256(wanted, 'hex')}
  try {
    const {payload, protectedHeader} = await jwtVerify(token, keys, {
      issuer, audience, typ: 'at+jwt', algorithms: ['EdDSA', 'ES256'], clockTolerance: 5, currentDate: new Date(now * 1000),
      requiredClaims: ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti', 'txn', 'authorization_details'],
    })
    result.header = Object.keys(protectedHeader).sort().join(' ')
    result.sub = payload.sub
    result.txn = payload.txn
    result.matches = payload.authorization_details.length === 1 && canonical(payload.authorization_details[0]) === wanted
    result.approval = payload['urn:exeat:approval']?.details
  } catch (err) {
    result.error = err.code ?? String(err)
  }
  results.push(result)
}
console.log(JSON.stringify(results))
