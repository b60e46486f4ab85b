#include "s3/s3_store.hpp"

namespace otagate::s3 {
namespace {

constexpr char kOptions[] = R"json({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "bucket": {"type": "string", "minLength": 3, "maxLength": 255,
      "description": "name of the bucket"},
    "buckets": {"type": "array", "items": {"type": "string", "minLength": 3, "maxLength": 255}, "minItems": 1,
      "maxItems": 100, "uniqueItems": true,
      "description": "several buckets instead; keys then begin with the bucket's name and '/'"},
    "endpoint": {"type": "string", "default": "",
      "description": "URL of the server, e.g. https://minio.example:9000; empty: AWS, by region"},
    "region": {"type": "string", "default": "us-east-1",
      "description": "region that requests are signed for; servers other than AWS mostly take us-east-1"},
    "addressing": {"type": "string", "enum": ["auto", "path", "virtual"], "default": "auto",
      "description": "bucket in the path or in the host name; auto: host name on AWS, path elsewhere"},
    "prefix": {"type": "string", "default": "", "maxLength": 1024,
      "description": "only keys that begin with this"},
    "delimiter": {"type": "string", "default": "", "maxLength": 16,
      "description": "\"/\": only keys directly below the prefix"},
    "metadata": {"type": "boolean", "default": true,
      "description": "let the gateway ask for x-amz-meta-* of new objects, one request each"},
    "versions": {"type": "string", "enum": ["latest", "all"], "default": "latest",
      "description": "all: also the earlier versions of each object, where the bucket keeps them"},
    "requester_pays": {"type": "boolean", "default": false,
      "description": "agree to pay for requests to a bucket whose owner does not"},
    "encryption_key": {"type": "string", "format": "secret",
      "description": "SSE-C: the key objects are encrypted with, 32 bytes in base64"},
    "encryption": {"type": "string", "enum": ["", "AES256", "aws:kms", "aws:kms:dsse"], "default": "",
      "description": "how the server encrypts what is published; empty: as the bucket says"},
    "kms_key": {"type": "string", "default": "", "description": "id of the key, with aws:kms"},
    "credentials": {"type": "string", "enum": ["static", "environment", "metadata", "anonymous"], "default": "static",
      "description": "where keys come from: these options, AWS_* variables, EC2's or ECS's service, or none"},
    "access_key": {"type": "string", "description": "access key id"},
    "secret_key": {"type": "string", "format": "secret", "description": "secret access key"},
    "session_token": {"type": "string", "format": "secret", "description": "of temporary credentials"},
    "metadata_endpoint": {"type": "string", "default": "",
      "description": "URL of the metadata service; empty: that of EC2 or ECS"},
    "ca_file": {"type": "string", "default": "",
      "description": "PEM file of the certificates to trust instead of the system's"},
    "proxy": {"type": "string", "default": "",
      "description": "http://, https:// or socks5h:// URL; the environment's proxies are not used"},
    "connect_timeout": {"type": "integer", "format": "duration", "minimum": 100, "default": 10000,
      "description": "of a connection, TLS included"},
    "idle_timeout": {"type": "integer", "format": "duration", "minimum": 1000, "default": 30000,
      "description": "window in which low_speed is measured"},
    "low_speed": {"type": "integer", "format": "rate", "minimum": 0, "default": 100,
      "description": "a slower transfer is ended and tried again"},
    "publish": {"type": "boolean", "default": false,
      "description": "allow the gateway to write objects"}
  }
})json";

}  // namespace
}  // namespace otagate::s3

OTAGATE_PLUGIN(otagate::s3::S3Store, .id = "s3", .version = "0.1.0",
               .summary = "firmware in an S3 bucket: AWS, MinIO, Ceph, R2 and others",
               .options_schema = otagate::s3::kOptions, .thread_safe = true)
