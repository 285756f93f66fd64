package openapi

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// xmlOperation loads a document of a version with one operation, whose body is
// the shared schema book.
func xmlOperation(t testing.TB, version, book string) *Operation {
	t.Helper()
	return one(t, loadText(t, "openapi: "+version+"\ninfo: {title: books, version: '1'}\nservers: [{url: https://api.example.com}]\n"+`
paths: {/books: {post: {operationId: add, requestBody: {required: true, content: {application/xml: {schema: {$ref: '#/components/schemas/book'}}}}}}}
components:
  schemas:
    tag: {type: object, xml: {name: label}, properties: {id: {type: integer, xml: {attribute: true}}, name: {type: string}}}
    author: {type: object, properties: {name: {type: string}, wrote: {type: array, items: {$ref: '#/components/schemas/book'}}}}
    list: {type: array, items: {type: string}}
    book: `+book+"\n", Options{}))
}

// TestXML follows the examples of the XML Object in OpenAPI 3.0.4 and 3.2.0.
func TestXML(t *testing.T) {
	for _, test := range []struct{ name, version, book, body, want, refused string }{
		{"basic string", "3.0.4", `{type: object, properties: {animals: {type: string}}}`, `{"animals":"a"}`, `<book><animals>a</animals></book>`, ""},
		{"arrays", "3.0.4", `{type: object, properties: {animals: {type: array, items: {type: string}}}}`, `{"animals":["a","b"]}`, `<book><animals>a</animals><animals>b</animals></book>`, ""},
		{"attribute, prefix and namespace", "3.0.4", `{type: object, properties: {id: {type: integer, xml: {attribute: true}}, name: {type: string, xml: {namespace: "https://example.com/schema/sample", prefix: sample}}}}`,
			`{"name":"n","id":123}`, `<book id="123"><sample:name xmlns:sample="https://example.com/schema/sample">n</sample:name></book>`, ""},
		{"names of items", "3.0.4", `{type: object, properties: {animals: {type: array, items: {type: string, xml: {name: animal}}}}}`, `{"animals":["a"]}`, `<book><animal>a</animal></book>`, ""},
		{"the outer name does nothing", "3.0.4", `{type: object, properties: {animals: {type: array, xml: {name: aliens}, items: {type: string, xml: {name: animal}}}}}`, `{"animals":["a"]}`, `<book><animal>a</animal></book>`, ""},
		{"wrapped without names", "3.0.4", `{type: object, properties: {animals: {type: array, xml: {wrapped: true}, items: {type: string}}}}`, `{"animals":["a"]}`, `<book><animals><animals>a</animals></animals></book>`, ""},
		{"wrapped with a name of items", "3.0.4", `{type: object, properties: {animals: {type: array, xml: {wrapped: true}, items: {type: string, xml: {name: animal}}}}}`, `{"animals":["a"]}`, `<book><animals><animal>a</animal></animals></book>`, ""},
		{"wrapped with both", "3.0.4", `{type: object, properties: {animals: {type: array, xml: {name: aliens, wrapped: true}, items: {type: string, xml: {name: animal}}}}}`, `{"animals":["a"]}`, `<book><aliens><animal>a</animal></aliens></book>`, ""},
		{"wrapped with an outer name", "3.0.4", `{type: object, properties: {animals: {type: array, xml: {name: aliens, wrapped: true}, items: {type: string}}}}`, `{"animals":["a"]}`, `<book><aliens><aliens>a</aliens></aliens></book>`, ""},
		{"wrapped and empty", "3.0.4", `{type: object, properties: {animals: {type: array, xml: {wrapped: true}, items: {type: string}}}}`, `{"animals":[]}`, `<book><animals></animals></book>`, ""},
		{"bare and empty", "3.0.4", `{type: object, properties: {animals: {type: array, items: {type: string}}}}`, `{"animals":[]}`, "", "/body/animals"},
		{"an array within an array", "3.0.4", `{type: object, properties: {a: {type: array, items: {type: array, items: {type: string}}}}}`, `{"a":[["x"],["y"]]}`, "", "/body/a/0"},
		{"a wrapped array within an array", "3.0.4", `{type: object, properties: {a: {type: array, items: {type: array, xml: {wrapped: true, name: row}, items: {type: string, xml: {name: cell}}}}}}`, `{"a":[["x"],["y","z"]]}`, `<book><row><cell>x</cell></row><row><cell>y</cell><cell>z</cell></row></book>`, ""},

		{"the order of the document", "3.0.4", `{type: object, properties: {z: {type: string}, a: {type: string}, m: {type: string}}}`, `{"a":"1","m":"2","z":"3"}`, `<book><z>3</z><a>1</a><m>2</m></book>`, ""},
		{"what allOf brings comes first", "3.0.4", `{allOf: [{$ref: '#/components/schemas/tag'}], properties: {b: {type: string}, a: {type: string}}}`, `{"a":"1","b":"2","name":"3","id":4}`, `<book id="4"><name>3</name><b>2</b><a>1</a></book>`, ""},
		{"references and recursion", "3.0.4", `{type: object, properties: {title: {type: string}, authors: {type: array, xml: {wrapped: true}, items: {$ref: '#/components/schemas/author'}}, tags: {type: array, items: {$ref: '#/components/schemas/tag'}}}}`,
			`{"title":"t","authors":[{"name":"n","wrote":[{"title":"u"}]}],"tags":[{"id":1,"name":"x"}]}`,
			`<book><title>t</title><authors><authors><name>n</name><wrote><title>u</title></wrote></authors></authors><label id="1"><name>x</name></label></book>`, ""},
		{"other properties", "3.0.4", `{type: object, properties: {b: {type: string}}, additionalProperties: {type: object, properties: {x: {type: string, xml: {attribute: true}}}}}`, `{"a":{"x":"1"},"b":"2"}`, `<book><b>2</b><a x="1"></a></book>`, ""},
		{"properties that nobody described", "3.0.4", `{type: object}`, `{"b":[1,true],"a":{"c":"x"}}`, `<book><a><c>x</c></a><b>1</b><b>true</b></book>`, ""},
		{"a name that is none in XML", "3.0.4", `{type: object}`, `{"a b":"x"}`, "", "/body/a b"},
		{"a name with a prefix", "3.0.4", `{type: object}`, `{"soap:Body":"x"}`, "", "/body/soap:Body"},
		{"a name that is written already", "3.0.4", `{type: object, properties: {foo: {type: string, xml: {name: Amount}}}}`, `{"foo":"1","amount":"1000"}`, "", "/body/amount"},
		{"null", "3.0.4", `{type: object, properties: {a: {type: string, nullable: true}}}`, `{"a":null}`, "", "/body/a"},
		{"the empty string", "3.0.4", `{type: object, properties: {a: {type: string}, b: {type: string, xml: {attribute: true}}}}`, `{"a":"","b":""}`, `<book b=""><a></a></book>`, ""},
		{"escapes", "3.0.4", `{type: object, properties: {a: {type: string}, b: {type: string, xml: {attribute: true}}}}`, `{"a":"</a>&]]>\r\n\"","b":"\" x='y' <\n\t"}`, "<book b=\"&#34; x=&#39;y&#39; &lt;&#xA;&#x9;\"><a>&lt;/a&gt;&amp;]]&gt;&#xD;&#xA;&#34;</a></book>", ""},
		{"a control character", "3.0.4", `{type: object, properties: {a: {type: string}}}`, `{"a":"x\u0001"}`, "", "/body/a"},
		{"a character that is none", "3.0.4", `{type: object, properties: {a: {type: string, xml: {attribute: true}}}}`, `{"a":"x\uffff"}`, "", "/body/a"},
		{"an object as an attribute", "3.0.4", `{type: object, properties: {a: {xml: {attribute: true}}}}`, `{"a":{"b":1}}`, "", "/body/a"},
		{"an array as an attribute", "3.0.4", `{type: object, properties: {a: {xml: {attribute: true}}}}`, `{"a":["b"]}`, "", "/body/a"},
		{"a root with a namespace", "3.0.4", `{type: object, xml: {name: Book, namespace: "urn:b"}, properties: {a: {type: string, xml: {namespace: "urn:b"}}}}`, `{"a":"x"}`, `<Book xmlns="urn:b"><a>x</a></Book>`, ""},
		{"an attribute with a namespace", "3.0.4", `{type: object, properties: {id: {type: string, xml: {attribute: true, namespace: "urn:b", prefix: b}}, lang: {type: string, xml: {attribute: true, prefix: xml}}}}`, `{"id":"1","lang":"de"}`, `<book xmlns:b="urn:b" b:id="1" xml:lang="de"></book>`, ""},
		{"a prefix of no namespace", "3.0.4", `{type: object, properties: {id: {type: string, xml: {prefix: b}}}}`, `{"id":"1"}`, "", "/body/id"},
		{"a wrapped root", "3.0.4", `{type: array, xml: {wrapped: true, name: books}, items: {type: string, xml: {name: book}}}`, `["a","b"]`, `<books><book>a</book><book>b</book></books>`, ""},
		{"beside a reference", "3.1.1", `{type: object, properties: {first: {$ref: '#/components/schemas/tag', xml: {name: one}}}}`, `{"first":{"name":"x"}}`, `<book><one><name>x</name></one></book>`, ""},
		{"before 3.1, nothing is beside a reference", "3.0.4", `{type: object, properties: {first: {$ref: '#/components/schemas/tag', xml: {name: one}}}}`, `{"first":{"name":"x"}}`, `<book><label><name>x</name></label></book>`, ""},
		{"a shared array", "3.0.4", `{type: object, properties: {names: {$ref: '#/components/schemas/list'}}}`, `{"names":["x","y"]}`, `<book><names>x</names><names>y</names></book>`, ""},

		{"3.2: attribute and text", "3.2.0", `{type: object, properties: {id: {type: string, xml: {nodeType: attribute}}, title: {type: string, xml: {nodeType: text}}}}`, `{"id":"1","title":"a<b"}`, `<book id="1">a&lt;b</book>`, ""},
		{"3.2: CDATA", "3.2.0", `{type: object, properties: {html: {type: object, properties: {raw: {type: string, xml: {nodeType: cdata}}}}}}`, `{"html":{"raw":"<p>]]></p>"}}`, `<book><html><![CDATA[<p>]]]]><![CDATA[></p>]]></html></book>`, ""},
		{"3.2: a carriage return in CDATA", "3.2.0", `{type: object, properties: {raw: {type: string, xml: {nodeType: cdata}}}}`, `{"raw":"\r"}`, "", "/body/raw"},
		{"3.2: no node of its own", "3.2.0", `{type: object, properties: {inner: {type: object, xml: {nodeType: none}, properties: {a: {type: string}}}, b: {type: string}}}`, `{"inner":{"a":"1"},"b":"2"}`, `<book><a>1</a><b>2</b></book>`, ""},
		{"3.2: no node, twice the name", "3.2.0", `{type: object, properties: {inner: {type: object, xml: {nodeType: none}}, b: {type: string}}}`, `{"inner":{"b":"1"},"b":"2"}`, "", "/body/b"},
		{"3.2: a wrapped array", "3.2.0", `{type: object, properties: {docs: {type: array, xml: {nodeType: element}, items: {type: string, xml: {name: doc}}}}}`, `{"docs":["x"]}`, `<book><docs><doc>x</doc></docs></book>`, ""},
		{"3.2: references are named by components", "3.2.0", `{type: object, properties: {by: {$ref: '#/components/schemas/author'}}}`, `{"by":{"name":"n"}}`, `<book><author><name>n</name></author></book>`, ""},
		{"3.2: an element around a reference", "3.2.0", `{type: object, properties: {by: {$ref: '#/components/schemas/author', xml: {nodeType: element}}}}`, `{"by":{"name":"n"}}`, `<book><by><author><name>n</name></author></by></book>`, ""},
		{"3.2: ordered elements", "3.2.0", `{type: array, xml: {nodeType: element}, prefixItems: [{type: string, xml: {name: one}}, {type: string, xml: {name: two}}]}`, `["1","2"]`, `<book><one>1</one><two>2</two></book>`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			op := xmlOperation(t, test.version, test.book)
			arguments := `{"body":` + test.body + `}`
			if test.refused != "" {
				if bad := refusal(t, op, arguments); bad.Problems[0].Pointer != test.refused {
					t.Errorf("refused with %v, want %s", bad, test.refused)
				}
				return
			}
			r := encode(t, op, arguments)
			if got, ok := strings.CutPrefix(string(r.Body), xml.Header); !ok || got != test.want {
				t.Errorf("got  %s\nwant %s", r.Body, test.want)
			}
			if r.ContentType != "application/xml" {
				t.Errorf("content type %s", r.ContentType)
			}
			readXML(t, r.Body)
		})
	}
}

// readXML fails unless a parser reads the bytes to their end.
func readXML(t testing.TB, data []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
	}
}

func TestXMLThatSchemasCannotSay(t *testing.T) {
	const paths = "paths: {/a: {post: {operationId: a, requestBody: {required: true, content: {application/xml: {schema: "
	for schema, want := range map[string]string{
		`{type: object}`:                                                                  "no name",
		`{type: object, xml: {name: "a b"}}`:                                              `"a b"`,
		`{type: object, xml: {name: a, prefix: xmlns}}`:                                   `"xmlns"`,
		`{type: object, xml: {name: a, attribute: true}}`:                                 "one root element",
		`{type: array, xml: {name: a}, items: {type: string}}`:                            "one root element",
		`{type: object, xml: {name: a, namespace: "a b"}}`:                                "no URI",
		`{xml: {name: a}, properties: {b: {xml: {name: "<", }}}}`:                         `"<"`,
		`{xml: {name: a}, properties: {b: {xml: {attribute: true, namespace: "urn:b"}}}}`: "needs a prefix",
		`{xml: {name: a}, oneOf: [{properties: {b: {type: string}}}, {properties: {b: {type: string, xml: {attribute: true}}}}]}`: "two ways",
	} {
		api := loadText(t, v30+paths+schema+"}}}}}}", Options{})
		if len(api.Operations) != 0 || len(api.Findings) != 1 || !api.Findings[0].LeftOut || !strings.Contains(api.Findings[0].Message, want) {
			t.Errorf("%s: %d operations, %+v, want one finding with %q", schema, len(api.Operations), api.Findings, want)
		}
	}
	// What XML cannot say may be said otherwise, or not at all if it may be absent.
	op := one(t, loadText(t, v30+paths+"{type: object}}, text/plain: {schema: {type: string}}}}}}}", Options{}))
	if r := encode(t, op, `{"body":"x"}`); r.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("sent as %s", r.ContentType)
	}
	api := loadText(t, v30+strings.Replace(paths, "required: true, ", "", 1)+"{type: object}}}}}}}", Options{})
	if op := one(t, api); op.Has("body") || len(api.Findings) != 1 {
		t.Errorf("an optional body: %+v", api.Findings)
	}
}

func TestRawXML(t *testing.T) {
	op := one(t, loadText(t, v30+"paths: {/a: {post: {operationId: a, requestBody: {content: {text/xml; charset=latin1: {schema: {type: string}}}}}}}", Options{}))
	for _, s := range []string{`<a/>`, `<?xml version="1.0" encoding="UTF-8"?><a x="1"><b>é</b></a>`} {
		body, _ := json.Marshal(map[string]string{"body": s})
		if r := encode(t, op, string(body)); string(r.Body) != s || r.ContentType != "text/xml; charset=utf-8" {
			t.Errorf("%s was sent as %s %s", s, r.ContentType, r.Body)
		}
	}
	for _, s := range []string{``, `x`, `<a>`, `<a></b>`, `<a/><b/>`, `<a/>x`, `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`,
		`<?xml-stylesheet href="x"?><a/>`, `<?xml version="1.0" encoding="UTF-16"?><a/>`, "<a>\x01</a>"} {
		body, _ := json.Marshal(map[string]string{"body": s})
		if bad := refusal(t, op, string(body)); bad.Problems[0].Pointer != "/body" {
			t.Errorf("%s: %v", s, bad)
		}
	}
}

// FuzzXML writes any arguments as XML, which a parser has to read.
func FuzzXML(f *testing.F) {
	op := xmlOperation(f, "3.2.0", `{type: object, properties: {id: {xml: {nodeType: attribute}}, text: {xml: {nodeType: text}}, raw: {xml: {nodeType: cdata}}, none: {xml: {nodeType: none}},
      ns: {xml: {namespace: "urn:x", prefix: p}}, default: {xml: {namespace: "urn:y"}}, pid: {xml: {nodeType: attribute, namespace: "urn:z", prefix: p}}, list: {type: array, xml: {nodeType: element}}, again: {$ref: '#/components/schemas/book'}}}`)
	for _, seed := range []string{`{}`, `{"id":"1","text":"a","raw":"]]>","none":{"x":1}}`, `{"ns":{"a":[1,2]},"pid":"2","list":[{"b":true}],"again":{"ns":"x","default":{"c":""}}}`, `{"<":1}`, `{"id":"\u0000"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		args, err := op.Parse([]byte(`{"body":` + body + `}`))
		if err != nil {
			return
		}
		r, err := op.Encode(args)
		var bad *ArgumentError
		if err != nil {
			if !errors.As(err, &bad) || len(bad.Problems) != 1 || !strings.HasPrefix(bad.Problems[0].Pointer, "/body") {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		readXML(t, r.Body)
		if err := wellFormed(string(r.Body)); err != nil {
			t.Fatalf("%v: %s", err, r.Body)
		}
		if again, err := op.Encode(args); err != nil || !bytes.Equal(again.Body, r.Body) {
			t.Fatalf("the second time: %v %s", err, again.Body)
		}
	})
}
