"""Holds verify.py to the vectors: python check.py ../vectors.json"""
import base64, json, sys
from joserfc.jwk import KeySet
from verify import Verifier

with open(sys.argv[1], encoding='utf-8') as file:
    given = json.load(file)
passed = failed = 0
for vector in given['vectors']:
    spent = set()

    def spend(name, until):
        return name not in spent and (spent.add(name) or True)

    verifier = Verifier(given['issuer'], given['audience'], KeySet.import_key_set(given['jwks']), spend,
                        require_approval=vector.get('require_approval', False), now=lambda: given['now'])

    def send(q):
        try:
            verifier.verify(q['method'], q['target'], q['headers'], base64.b64decode(q['body'] or ''))
        except Exception as wrong:  # as its callers have to
            return str(wrong) or repr(wrong)

    first = next((send(v['request']) for v in given['vectors'] if v['name'] == vector.get('after')), None)
    wrong = send(vector['request'])
    if first is None and (vector['verdict'] == 'either' or (vector['verdict'] == 'accept') == (wrong is None)):
        passed += 1
        continue
    failed += 1
    print(f"{vector['name']}: should {vector['verdict']}, says {first or wrong or 'good'}")
print(f'{passed} passed, {failed} failed')
sys.exit(0 if passed and not failed else 1)
