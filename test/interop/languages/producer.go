// producer QUEUE [ARGUMENT...] <CONTENTS: adds an item to the queue in this directory, and prints its name.
package main

import "fmt"
import "io"
import "os"
import "strings"
import "time"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err) // unlike log.Fatal, this runs the deferred removal
	}
	return value
}

func main() {
	queue, encode := os.Args[1], strings.NewReplacer("%", "%25", "_", "%5f", "/", "%2f").Replace
	file := must(os.CreateTemp(queue+"/tmp", ""))
	defer os.Remove(file.Name())
	must(io.Copy(file, os.Stdin))
	must(0, file.Chmod(0o640))
	must(0, file.Sync())
	fields := encode(must(os.Hostname())) + "_0"
	for _, argument := range os.Args[2:] {
		fields += "_" + encode(argument)
	}
	name, err := "", os.ErrExist
	for entropy := 0; os.IsExist(err) && entropy < 100; entropy++ {
		name = fmt.Sprintf("_%s_%d_%d_%s", time.Now().Format("20060102150405"), entropy, os.Getpid(), fields)
		err = os.Link(file.Name(), queue+"/queue/"+name) // never replaces a file
	}
	must(0, err)
	must(0, must(os.Open(queue+"/queue")).Sync())
	fmt.Println(name)
}
