#include "azure/azure_store.hpp"

namespace otagate::azure {
namespace {

constexpr char kOptions[] = R"json({
  "type": "object",
  "required": ["container"],
  "additionalProperties": false,
  "properties": {
    "container": {"type": "string", "minLength": 3, "maxLength": 63,
      "description": "name of the container"},
    "connection_string": {"type": "string", "format": "secret",
      "description": "as the portal shows it: endpoint, account and key or SAS in one"},
    "account": {"type": "string", "description": "name of the storage account"},
    "account_key": {"type": "string", "format": "secret", "description": "one of the account's two keys"},
    "sas_token": {"type": "string", "format": "secret",
      "description": "shared access signature of the container or account, with read and list"},
    "tenant": {"type": "string", "description": "Entra ID: id or domain of the directory"},
    "client_id": {"type": "string", "description": "Entra ID: id of the registered application"},
    "client_secret": {"type": "string", "format": "secret", "description": "Entra ID: its secret"},
    "token_endpoint": {"type": "string", "default": "",
      "description": "Entra ID: URL that gives tokens; empty: that of the tenant in the public cloud"},
    "scope": {"type": "string", "default": "https://storage.azure.com/.default",
      "description": "Entra ID: what tokens are asked for"},
    "anonymous": {"type": "boolean", "default": false, "description": "a public container: log in as nobody"},
    "endpoint": {"type": "string", "default": "",
      "description": "URL of the Blob service; empty: https://ACCOUNT.blob.core.windows.net"},
    "prefix": {"type": "string", "default": "", "maxLength": 1024,
      "description": "only blobs whose names begin with this"},
    "delimiter": {"type": "string", "default": "", "maxLength": 16,
      "description": "\"/\": only blobs directly below the prefix"},
    "tags": {"type": "boolean", "default": false,
      "description": "read index tags as metadata, too; needs a permission of its own"},
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
      "description": "allow the gateway to write blobs"}
  }
})json";

}  // namespace
}  // namespace otagate::azure

OTAGATE_PLUGIN(otagate::azure::AzureStore, .id = "azure", .version = "0.1.0",
               .summary = "firmware in a container of Azure Blob Storage or a data lake",
               .options_schema = otagate::azure::kOptions, .thread_safe = true)
