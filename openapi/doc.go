// Package openapi turns OpenAPI documents into operations: what a tool needs
// to check arguments, encode them into one exact HTTP request, and read the
// response. A document is compiled once by [Load] and then dropped; what stays
// is the table of operations. Its families of files, and what each file answers:
//
// What there is
//
//	operation.go  what an API and an operation are, and what steers Load
//	wire.go       the request that goes out
//
// Load: bytes to a tree with positions
//
//	load.go           which file or URL a document is, and its other files
//	load_bounds.go    how much of it is read
//	load_cache.go     fetched documents that are kept, and asked for again
//	load_fetch.go     a document behind a URL
//	load_overlay.go   overlays that correct a document
//	load_tree.go      JSON and YAML as one kind of tree; load_scalar.go what a YAML scalar is
//	load_json.go      JSON, of which what calls seldom need is read when it is referred to
//	load_position.go  the line and column of a pointer
//	load_refs.go      where a reference leads
//
// Compile: a tree to operations
//
//	compile.go              the way of a document, and its paths
//	compile_operation.go    one operation and its schema; compile_parameter.go its parameters
//	compile_path.go         which paths are served, and told apart
//	compile_names.go        names of tools and arguments, and which operations are kept
//	compile_toolnames.go    names without what frameworks add, and other names
//	compile_effect.go       read, write or delete
//	compile_server.go       where its requests go
//	compile_credential.go   parameters that are credentials, and what the operator says of parameters
//	compile_withhold.go     credentials at the top of bodies and in forms
//	compile_headers.go      headers that the configuration sets on every request
//	compile_answer.go       which answers it may have, and what it asks for first
//	compile_content.go      parameters with a media type
//	compile_deep.go         parameters whose style cannot carry their values
//	compile_body.go         forms and files; compile_partheaders.go headers of their parts
//	compile_media.go        which media type a body is sent as; compile_choice.go what the caller may choose
//	compile_xml.go          how an XML body is written
//	compile_swagger2.go     what only 2.0 has
//	compile_input.go        the input schema of a tool, and how much of it is checked
//	compile_schema.go       one schema, of any version, to JSON Schema 2020-12
//	compile_nested.go       the schemas within it; compile_properties.go those of an object
//	compile_untyped.go      what says nothing of its type
//	compile_keyword.go      which keywords have legal values
//	compile_condition.go    not, if and what was written otherwise once
//	compile_readonly.go     what only answers have
//	compile_discriminator.go  kinds that a property tells apart
//	compile_satisfy.go      what no value could satisfy, read as it is meant
//	compile_never.go        what no value fits, however it is read
//	compile_phrase.go       what it says for the sentence of a call
//	compile_words.go        examples and other words for people
//
// Offer: a schema as a host gets it
//
//	offer.go           the whole way; offer_profile.go what hosts refuse, offer_gemini.go what one does
//	offer_rename.go    names that hosts refuse
//	offer_shrink.go    a schema within a budget; offer_fit.go which of its parts are cut
//	offer_measure.go   how many bytes it takes, and how long its texts can be
//	offer_describe.go  the parts that were cut
//	offer_text.go      texts without what deceives, cut between words
//
// Encode: arguments to a request
//
//	encode_args.go       arguments, parsed once and strictly
//	encode_validate.go   checked against the schema; encode_meter.go how long that may take
//	encode_mend.go       what models and hosts write in another way than the schema has it
//	encode_explain.go    what was wrong with them
//	encode.go            the request; encode_style.go parameters in their styles
//	encode_escape.go     percent-encoding, and what is safe in a path
//	encode_header.go     which headers arguments cannot set
//	encode_body.go       the body: encode_bytes.go its type and bytes, encode_multipart.go and encode_xml.go
//	encode_bound.go      how much is written
//	encode_canonical.go  one way to write each value
//	encode_secrets.go    which arguments are not for everybody's eyes
//
// Decode: an answer to a value
//
//	decode.go           status and body; decode_stream.go answers in pieces
//	decode_json.go      which answers are read as JSON
//	decode_page.go      where the next page is
//	decode_truncate.go  answers that are too long
package openapi
