// worker QUEUE COMMAND [ARGUMENT...]: runs the command for each item: contents on standard input, name as last argument.
package main

import "log"
import "os"
import "os/exec"
import "strings"
import "syscall"
import "time"

func look(path string) os.FileInfo { info, _ := os.Lstat(path); return info }

func main() {
	for queue := os.Args[1]; look(queue+"/queue") != nil && look(queue+"/down") == nil && look(queue+"/lock-fcntl") == nil; time.Sleep(time.Second) {
		entries, _ := os.ReadDir(queue + "/queue")
		for _, entry := range entries {
			item, done, fail := queue+"/queue/"+entry.Name(), queue+"/done/"+entry.Name(), queue+"/fail/"+entry.Name()
			if entry.Type().IsRegular() && strings.Count(entry.Name(), "_") > 4 && look(queue+"/down") == nil {
				file, _ := os.OpenFile(item, syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
				locked := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
				switch opened, _ := file.Stat(); {
				case locked != nil || !os.SameFile(opened, look(item)): // another worker has it, or finished it before our lock
				case opened.ModTime().After(time.Now()) && opened.ModTime().UnixNano() > opened.Sys().(*syscall.Stat_t).Ctim.Nano(): // delayed
				case os.SameFile(opened, look(done)) || os.SameFile(opened, look(fail)):
					os.Remove(item) // a worker died between link and unlink
				case look(done) == nil && look(fail) == nil:
					command := exec.Command(os.Args[2], append(os.Args[3:], entry.Name())...)
					command.Stdin = file
					end := map[bool]string{true: done, false: fail}[command.Run() == nil]
					if os.Link(item, end) != nil || os.Remove(item) != nil {
						log.Fatal("cannot move ", item)
					}
				}
				file.Close()
			}
		}
	}
	log.Fatal(os.Args[1], " is down, missing, or worked with other locks")
}
