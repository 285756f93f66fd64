import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import org.jose4j.json.JsonUtil;
import org.jose4j.jwk.JsonWebKeySet;

/** Holds Verify.java to the vectors: java -cp 'classes:jars/*' Check ../vectors.json */
class Check {
  public static void main(String[] args) throws Exception {
    var given = JsonUtil.parseJson(Files.readString(Path.of(args[0])));
    var keys = new JsonWebKeySet(JsonUtil.toJson(Verify.object(given.get("jwks"))));
    var byName = new LinkedHashMap<String, Map<String, Object>>();
    for (Object vector : (List<?>) given.get("vectors")) byName.put((String) Verify.object(vector).get("name"), Verify.object(vector));
    int passed = 0, failed = 0;
    for (var vector : byName.values()) {
      var spent = new HashSet<String>();
      var verify = new Verify((String) given.get("issuer"), (String) given.get("audience"), keys, (id, until) -> spent.add(id),
          Boolean.TRUE.equals(vector.get("require_approval")), () -> (Long) given.get("now"));
      String first = vector.containsKey("after") ? send(verify, byName.get((String) vector.get("after"))) : null;
      String wrong = send(verify, vector);
      String verdict = (String) vector.get("verdict");
      if (first == null && (verdict.equals("either") || verdict.equals("accept") == (wrong == null))) {
        passed++;
        continue;
      }
      failed++;
      System.out.println(vector.get("name") + ": should " + verdict + ", says " + (first != null ? first : wrong != null ? wrong : "good"));
    }
    System.out.println(passed + " passed, " + failed + " failed");
    System.exit(passed > 0 && failed == 0 ? 0 : 1);
  }

  /** What is wrong with the request of a vector, or null. */
  private static String send(Verify verify, Map<String, Object> vector) {
    var q = Verify.object(vector.get("request"));
    var headers = new ArrayList<Verify.Header>();
    for (Object pair : (List<?>) q.get("headers")) headers.add(new Verify.Header((String) ((List<?>) pair).get(0), (String) ((List<?>) pair).get(1)));
    String body = q.get("body") == null ? "" : (String) q.get("body");
    try {
      verify.verify(new Verify.Request((String) q.get("method"), (String) q.get("target"), headers, Base64.getDecoder().decode(body)));
      return null;
    } catch (Exception wrong) {
      return wrong.toString();
    }
  }
}
