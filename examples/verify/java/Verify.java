import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.*;
import java.util.function.LongSupplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jose4j.json.JsonUtil;
import org.jose4j.jwa.AlgorithmConstraints;
import org.jose4j.jwa.AlgorithmConstraints.ConstraintType;
import org.jose4j.jwk.JsonWebKey;
import org.jose4j.jwk.JsonWebKeySet;
import org.jose4j.jws.JsonWebSignature;

/**
 * Verifies requests with tokens of exeat, as docs/token.md says. spend answers true the first time,
 * for all processes of the API; now is in Unix seconds.
 */
record Verify(String issuer, String audience, JsonWebKeySet keys, Spend spend, boolean requireApproval, LongSupplier now) {
  interface Spend { boolean first(String id, long until) throws Exception; }

  record Header(String name, String value) {}

  record Request(String method, String target, List<Header> headers, byte[] body) {}

  /** Answers with the claims; any exception is a refusal. */
  Map<String, Object> verify(Request request) throws Exception {
    String token = token(only(request, "authorization"));
    Map<String, Object> header = parse(token.split("\\.")[0]), c = parse(token.split("\\.")[1]);
    must(header.keySet().equals(Set.of("alg", "kid", "typ")) && header.get("typ").equals("at+jwt"), "bad header");
    signed(token, header);
    must(issuer.equals(c.get("iss")) && audience.equals(c.get("aud")) && !c.containsKey("cnf"), "bad claims");
    must(List.of("sub", "client_id", "jti", "txn").stream().allMatch(name -> isText(c.get(name))), "bad claims");
    long iat = (Long) c.get("iat"), exp = (Long) c.get("exp"), nbf = (Long) c.getOrDefault("nbf", iat), at = now.getAsLong();
    must(iat < exp && exp <= iat + 60 && Math.max(iat, nbf) - 5 <= at && at < exp + 5, "bad times");
    Map<String, Object> details = object(one(c.get("authorization_details")));
    must(details.equals(bound(request, details)), "another request");
    Map<String, Object> approval = known(c);
    must(approval == null || approval.get("details").equals(HexFormat.of().formatHex(sha256(bytes(canonical(details))))) && (Long) approval.get("until") >= at, "not approved");
    must(spend.first(issuer + " " + c.get("jti"), exp + 5), "spent");
    must(approval == null || !(Boolean) approval.get("once") || spend.first(issuer + " approval:" + approval.get("id"), (Long) approval.get("until") + 5), "approval spent");
    return c;
  }

  private static final Pattern TOKEN = Pattern.compile("(?i:bearer) ([\\w-]+\\.[\\w-]+\\.[\\w-]+)");

  private static String token(String line) {
    var match = TOKEN.matcher(line == null ? "" : line);
    must(match.matches() && line.length() <= 8192, "malformed token");
    return match.group(1);
  }

  private void signed(String token, Map<String, Object> header) throws Exception {
    JsonWebKey key = keys.findJsonWebKey((String) header.get("kid"), null, null, (String) header.get("alg"));
    must(key != null && isText(header.get("kid")), "unknown key");
    var jws = new JsonWebSignature();
    jws.setAlgorithmConstraints(new AlgorithmConstraints(ConstraintType.PERMIT, "EdDSA", "ES256"));
    jws.setCompactSerialization(token);
    jws.setKey(key.getKey());
    must(jws.verifySignature(), "bad signature");
  }

  /** The object that a token for this request has; names it takes from the token. */
  private Map<String, Object> bound(Request q, Map<String, Object> details) throws Exception {
    must(q.target().startsWith("/"), "bad target");
    String coding = only(q, "content-encoding"), type = only(q, "content-type");
    must(coding == null || coding.isEmpty() || coding.equalsIgnoreCase("identity"), "content coding");
    var names = new TreeSet<>(List.of("if-match", "idempotency-key"));
    names.addAll(object(object(details.get("request")).getOrDefault("headers", Map.of())).keySet());
    var headers = new TreeMap<String, Object>();
    for (String name : names) if (only(q, name) != null) headers.put(name, only(q, name));
    var request = new TreeMap<String, Object>(Map.of("target", q.target(), "content_digest", "sha-256=:" + Base64.getEncoder().encodeToString(sha256(q.body())) + ":"));
    if (type != null) request.put("content_type", type);
    if (!headers.isEmpty()) request.put("headers", headers);
    must(isText(details.get("identifier")), "bad details");
    var all = new TreeMap<String, Object>(Map.of("type", "urn:exeat:call:1", "locations", List.of(audience), "actions", List.of(q.method()),
        "identifier", details.get("identifier"), "request", request));
    if (details.containsKey("document")) all.put("document", details.get("document"));
    return all;
  }

  /** The approval, or null; refuses members that nobody knows. */
  private Map<String, Object> known(Map<String, Object> c) {
    Object effect = null;
    if (c.containsKey("act")) must(isText(members(c.get("act"), "", "sub", "sub_profile").get("sub")), "bad act");
    if (c.containsKey("urn:exeat:decision")) {
      var decision = members(c.get("urn:exeat:decision"), "effect", "id", "policies");
      effect = decision.get("effect");
      must(!decision.containsKey("effect") || Set.of("read", "write", "delete").contains(effect), "bad decision");
    }
    must(c.containsKey("urn:exeat:approval") || !requireApproval || "read".equals(effect), "not approved");
    if (!c.containsKey("urn:exeat:approval")) return null;
    return members(c.get("urn:exeat:approval"), "amr", "id", "by", "at", "until", "once", "details");
  }

  private static Map<String, Object> members(Object value, String maybe, String... names) {
    var there = new HashSet<>(object(value).keySet());
    there.remove(maybe);
    must(there.equals(Set.of(names)), "members that nobody knows");
    return object(value);
  }

  static void must(boolean ok, String wrong) {
    if (!ok) throw new IllegalArgumentException(wrong);
  }

  private static boolean isText(Object value) { return value instanceof String s && !s.isEmpty(); }

  @SuppressWarnings("unchecked")
  static Map<String, Object> object(Object value) { return (Map<String, Object>) value; }

  private static Object one(Object list) {
    must(list instanceof List<?> l && l.size() == 1, "not one");
    return ((List<?>) list).get(0);
  }

  /** The value of a header that may be there once, or null. */
  private static String only(Request q, String name) {
    var values = q.headers().stream().filter(h -> h.name().equalsIgnoreCase(name)).toList();
    must(values.size() <= 1, "several headers " + name);
    return values.isEmpty() ? null : values.get(0).value();
  }

  /** Reads an object in UTF-8; jose4j refuses one that has a name twice. */
  private static Map<String, Object> parse(String part) throws Exception {
    var decoder = StandardCharsets.UTF_8.newDecoder(); // which reports what is not UTF-8
    return JsonUtil.parseJson(decoder.decode(ByteBuffer.wrap(Base64.getUrlDecoder().decode(part))).toString());
  }

  private static byte[] bytes(String s) { return s.getBytes(StandardCharsets.UTF_8); }

  private static byte[] sha256(byte[] b) throws Exception { return MessageDigest.getInstance("SHA-256").digest(b); }

  /** The RFC 8785 form of objects, arrays and strings. */
  private static String canonical(Object value) {
    if (value instanceof Map<?, ?> m) {
      return new TreeMap<>(object(m)).entrySet().stream().map(e -> quote(e.getKey()) + ":" + canonical(e.getValue())).collect(Collectors.joining(",", "{", "}"));
    }
    if (value instanceof List<?> l) return l.stream().map(Verify::canonical).collect(Collectors.joining(",", "[", "]"));
    return quote((String) value);
  }

  private static String quote(String s) {
    var out = new StringBuilder("\"");
    for (char ch : s.toCharArray()) {
      int brief = "\b\t\n\f\r\"\\".indexOf(ch);
      if (brief >= 0) out.append('\\').append("btnfr\"\\".charAt(brief));
      else if (ch < 0x20) out.append(String.format("\\u%04x", (int) ch));
      else out.append(ch);
    }
    return out.append('"').toString();
  }
}
