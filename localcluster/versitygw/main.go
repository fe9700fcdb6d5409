// Command versitygw is Versity's S3 gateway in front of one folder, whose folders are the buckets. It is built without
// the gateway's other back ends (Azure, another S3, ScoutFS), its administration and its test suite.
package main

import (
	"errors"
	"flag"
	"io/fs"
	"log"
	"os"

	"github.com/gofiber/fiber/v2"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

const directoryMode fs.FileMode = 0o755

func main() {
	address := flag.String("port", "", "HOST:PORT to listen on")
	region := flag.String("region", "us-east-1", "region that requests are signed for")
	flag.Parse()
	log.Fatal(serve(flag.Arg(0), *address, *region))
}

// serve answers until the listener fails; the credentials of the one user come from the environment.
func serve(folder, address, region string) error {
	user, secret := os.Getenv("ROOT_ACCESS_KEY"), os.Getenv("ROOT_SECRET_KEY")
	if folder == "" || address == "" || user == "" || secret == "" {
		return errors.New("usage: ROOT_ACCESS_KEY=... ROOT_SECRET_KEY=... versitygw --port HOST:PORT FOLDER")
	}
	store := meta.XattrMeta{}
	if err := store.Test(folder); err != nil {
		return err
	}
	backend, err := posix.New(folder, store, posix.PosixOpts{NewDirPerm: directoryMode})
	if err != nil {
		return err
	}
	accounts, err := auth.New(&auth.Opts{
		RootAccount: auth.Account{Access: user, Secret: secret, Role: auth.RoleAdmin},
	})
	if err != nil {
		return err
	}
	app := fiber.New(fiber.Config{
		ServerHeader:          "VERSITYGW",
		StreamRequestBody:     true,
		DisableKeepalive:      true,
		Network:               fiber.NetworkTCP,
		DisableStartupMessage: true,
	})
	root := middlewares.RootUserConfig{Access: user, Secret: secret}
	server, err := s3api.New(app, backend, root, address, region, accounts, nil, nil, nil, nil, s3api.WithQuiet())
	if err != nil {
		return err
	}
	return server.Serve()
}
