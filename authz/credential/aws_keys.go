package credential

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// AWSKeysFromEnv reads standing keys of AWS from the variables that AWS's own programs
// take.
func AWSKeysFromEnv() (aws.Credentials, error) {
	keys := aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	if err := checkKeys(keys); err != nil {
		return aws.Credentials{}, fmt.Errorf("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment: %w; or name a credentials_file, or a web_identity", err)
	}
	return keys, nil
}

// AWSKeysFromFile reads them from a profile of a credentials file of AWS
// (~/.aws/credentials). It is read each time, since other programs renew it.
func AWSKeysFromFile(path, profile string) (aws.Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("cannot read the keys of AWS: %w", err)
	}
	defer f.Close()
	if profile == "" {
		profile = "default"
	}
	values, section := map[string]string{}, ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSpace(strings.TrimSuffix(name, "]"))
		} else if key, value, ok := strings.Cut(line, "="); ok && section == profile && !strings.HasPrefix(line, "#") {
			values[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	keys := aws.Credentials{AccessKeyID: values["aws_access_key_id"], SecretAccessKey: values["aws_secret_access_key"], SessionToken: values["aws_session_token"]}
	if err := errors.Join(lines.Err(), checkKeys(keys)); err != nil {
		return aws.Credentials{}, fmt.Errorf("%s, profile %s: %w", path, profile, err)
	}
	return keys, nil
}

// checkKeys reports keys that nothing can be signed with.
func checkKeys(keys aws.Credentials) error {
	switch {
	case !keyID.MatchString(keys.AccessKeyID) || keys.SecretAccessKey == "":
		return errors.New("there is no access key id with its secret")
	case keys.SessionToken != "" && !accessToken.MatchString(keys.SessionToken):
		return errors.New("the session token holds characters that a header cannot carry")
	}
	return nil
}
