// Serve is the pet shop as a program of its own, at http://127.0.0.1:9100, for
// trying exeat out. It keeps its pets in memory.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/exeat/exeat/examples/petstore"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9100", "serve on `ADDR`")
	flag.Parse()
	log.Printf("the pet shop is at http://%s", *listen)
	srv := &http.Server{Addr: *listen, Handler: petstore.New(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(srv.ListenAndServe())
}
