#include "config/render.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "config/load.hpp"

namespace otagate::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(RenderConfig, ShowsSettingsDefaultsAndTheSourceOfSecretsButNoSecret) {
  ::setenv("OTAGATE_TEST_TOKEN", "correct horse battery", 1);
  const LoadResult config = load_text({{"t.toml", R"(
[api]
listen = "127.0.0.1:8081"
token = { env = "OTAGATE_TEST_TOKEN" }
[cache]
max_size = "20GiB"
[[store]]
name = "main"
plugin = "s3"
bandwidth = "4MiB/s"
options = { bucket = "b", secret_key = "correct horse", proxy = "http://u:correct horse@p" }
[[credential]]
name = "fleet"
kind = "basic"
user = "joe"
type = "esp32"
secret = { env = "OTAGATE_TEST_TOKEN" }
)"}});
  ::unsetenv("OTAGATE_TEST_TOKEN");
  ASSERT_TRUE(config) << to_string(config.error());
  const std::string text = to_redacted_json(*config);
  EXPECT_THAT(text, Not(HasSubstr("correct horse")));
  EXPECT_THAT(text, AllOf(HasSubstr(R"("token":{"env":"OTAGATE_TEST_TOKEN"})"),
                          HasSubstr(R"("max_size":"20GiB","min_free":"256MiB or 5%, whichever is more")"),
                          HasSubstr(R"("metrics":{"listen":null})"), HasSubstr(R"("mode":"0660")")));
  EXPECT_THAT(text,
              AllOf(HasSubstr(R"("bandwidth":"4MiB/s")"), HasSubstr(R"("where":"t.toml:7:1")"),
                    HasSubstr(R"("options":{"bucket":"b","secret_key":"***","proxy":"http://u:***@p"})"),
                    HasSubstr(R"("secret":{"env":"OTAGATE_TEST_TOKEN"},"device":null,"type":"esp32")")));
}

}  // namespace
}  // namespace otagate::config
