"""Verifies requests with tokens of exeat, as docs/token.md says."""
import base64, hashlib, json, re, time
from joserfc import jws

TOKEN = re.compile(r'bearer ([\w-]+\.[\w-]+\.[\w-]+)', re.IGNORECASE | re.ASCII)


class Verifier:
    """keys is a KeySet of joserfc. spend(id, until) answers True the first time, for
    all processes of the API."""

    def __init__(self, issuer, audience, keys, spend, require_approval=False, now=time.time):
        self.issuer, self.audience, self.keys, self.spend, self.require_approval, self.now = issuer, audience, keys, spend, require_approval, now

    def verify(self, method, target, headers, body):
        """Answers with the claims; headers is a list of pairs, body bytes. Any exception
        is a refusal."""
        line = only(headers, 'authorization') or ''
        token = must(len(line) <= 8192 and TOKEN.fullmatch(line), 'malformed token')[1]
        header, c = (parse(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4))) for part in token.split('.')[:2])
        must(header.keys() == {'alg', 'kid', 'typ'} and header['typ'] == 'at+jwt', 'bad header')
        key = self.keys.get_by_kid(header['kid'])
        must(key.alg == header['alg'], 'alg of another key') and jws.deserialize_compact(token, key, algorithms=['EdDSA', 'ES256'])
        must(c.get('iss') == self.issuer and c.get('aud') == self.audience and 'cnf' not in c, 'bad claims')
        must(all(is_text(c.get(name)) for name in ('sub', 'client_id', 'jti', 'txn')), 'bad claims')
        iat, exp, nbf, now = c['iat'], c['exp'], c.get('nbf', c['iat']), self.now()
        must(all(type(t) is int for t in (iat, exp, nbf)) and iat < exp <= iat + 60 and max(iat, nbf) - 5 <= now < exp + 5, 'bad times')
        details, = c['authorization_details']
        must(details == bound(self.audience, method, target, headers, body, details), 'another request')
        approval = known(c, self.require_approval)
        form = json.dumps(details, ensure_ascii=False, sort_keys=True, separators=(',', ':')).encode()
        must(not approval or approval['details'] == hashlib.sha256(form).hexdigest() and approval['until'] >= int(now), 'not approved')
        must(self.spend((self.issuer, c['jti']), exp + 5), 'spent')
        must(not approval or not approval['once'] or self.spend((self.issuer, 'approval:' + approval['id']), approval['until'] + 5), 'approval spent')
        return c


def must(value, wrong):
    if not value:
        raise ValueError(wrong)
    return value


def is_text(value):
    return isinstance(value, str) and value != ''


def has(value, *names, maybe=''):
    return isinstance(value, dict) and value.keys() - {maybe} == set(names)


def only(headers, name):
    """The value of a header that may be there once."""
    values = [value for other, value in headers if other.lower() == name]
    must(len(values) <= 1, f'several headers {name}')
    return values[0] if values else None


def parse(octets):
    """Reads an object in UTF-8 that has no name twice."""
    def distinct(pairs):
        return must(len(dict(pairs)) == len(pairs), 'a name twice') and dict(pairs) if pairs else {}

    value = json.loads(octets.decode(), object_pairs_hook=distinct)
    must(isinstance(value, dict), 'not an object')
    return value


def bound(audience, method, target, headers, body, details):
    """The object that a token for this request has; names it takes from the token."""
    must(target.startswith('/'), 'bad target')
    must((only(headers, 'content-encoding') or '').lower() in ('', 'identity'), 'content coding')
    names = {'if-match', 'idempotency-key', *details['request'].get('headers', {})}
    some = {name: value for name in names if (value := only(headers, name)) is not None}
    request = {
        'target': target,
        'content_type': only(headers, 'content-type'),
        'content_digest': f'sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:',
        'headers': some or None,
    }
    want = {
        'type': 'urn:exeat:call:1', 'locations': [audience], 'actions': [method], 'identifier': must(details['identifier'], 'bad details'),
        'request': {name: value for name, value in request.items() if value is not None},
    }
    return want | ({'document': details['document']} if 'document' in details else {})


def known(c, require_approval):
    """The approval; refuses members that nobody knows."""
    approval, decision = c.get('urn:exeat:approval'), c.get('urn:exeat:decision')
    if 'act' in c:
        must(has(c['act'], 'sub', 'sub_profile') and is_text(c['act']['sub']), 'bad act')
    if 'urn:exeat:decision' in c:
        must(has(decision, 'id', 'policies', maybe='effect') and decision.get('effect', 'read') in ('read', 'write', 'delete'), 'bad decision')
    if 'urn:exeat:approval' in c:
        must(has(approval, 'id', 'by', 'at', 'until', 'once', 'details', maybe='amr'), 'bad approval')
        must(type(approval['until']) is int and type(approval['once']) is bool, 'bad approval')
    must(approval or not require_approval or (decision or {}).get('effect') == 'read', 'not approved')
    return approval
