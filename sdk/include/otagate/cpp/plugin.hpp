// The entry point of a plugin: OTAGATE_PLUGIN(Class, .id = ..., ...) after the class, once.
#pragma once

#include <cstring>
#include <exception>
#include <string_view>
#include <type_traits>

#include "otagate/cpp/host.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::sdk {

// What a plugin says about itself. The pointers must be to string literals.
struct About {
  const char* id;              // "s3": letters, digits, '-'; the name of the file
  const char* version;         // semantic
  const char* summary;         // one line
  const char* options_schema;  // JSON Schema of the options, a JSON object
  // Calls of one instance may run at the same time. Without it the gateway makes them one by one.
  bool thread_safe = false;
};

namespace detail {

inline void write_error(otagate_error* to, std::uint32_t status, std::string_view message) noexcept {
  if (!to) return;
  auto out = make_struct<otagate_error>();
  out.status = status;
  std::size_t size = std::min<std::size_t>(message.size(), OTAGATE_ERROR_TEXT);
  // Cut at a character's end: not inside a UTF-8 sequence.
  while (size < message.size() && size > 0 && (static_cast<unsigned char>(message[size]) & 0xc0u) == 0x80u)
    --size;
  out.text_size = size;
  std::memcpy(out.text, message.data(), size);
  write_struct(to, out);
}

// Runs `work` and turns what it throws into a status and a message.
template <class F, class Report>
std::uint32_t caught(F work, Report report) noexcept {
  try {
    work();
    return OTAGATE_OK;
  } catch (const Failure& failure) {
    const std::uint32_t status = failure.status == OTAGATE_OK ? OTAGATE_INTERNAL : failure.status;
    report(status, std::string_view(failure.message), failure.retry_after_ms);
    return status;
  } catch (const std::bad_alloc&) {
    report(OTAGATE_INTERNAL, std::string_view("out of memory"), 0);
  } catch (const std::exception& problem) {
    report(OTAGATE_INTERNAL, std::string_view(problem.what()), 0);
  } catch (...) {
    report(OTAGATE_INTERNAL, std::string_view("the plugin threw something that is no std::exception"), 0);
  }
  return OTAGATE_INTERNAL;
}

// One plugin of one class. Class::Kind (Store or Transport) says which interface it has and how its
// calls reach the object: Kind::kInterface, Kind::table(), Kind::HostType.
template <class Class>
struct Entry {
  using Kind = typename Class::Kind;

  struct Instance {
    Instance(const otagate_host* table, otagate_instance instance) : host(table, instance), object(host) {}
    typename Kind::HostType host;
    Class object;
  };

  static std::uint32_t create(const otagate_host* host, otagate_instance instance, const char* interface_id,
                              void** self, otagate_error* error) noexcept {
    if (!interface_id || std::string_view(interface_id) != Kind::kInterface) {
      write_error(error, OTAGATE_UNSUPPORTED, "this plugin does not have that interface");
      return OTAGATE_UNSUPPORTED;
    }
    return caught(
        [&] {
          auto made = std::make_unique<Instance>(host, instance);
          // The base class's address: the functions of the table know no more than that.
          static_cast<Kind&>(made->object).bind(made->host, made.get());
          *self = static_cast<Kind*>(&made.release()->object);
        },
        [&](std::uint32_t status, std::string_view message, std::uint64_t) {
          write_error(error, status, message);
        });
  }

  static void destroy(void* self) noexcept {
    caught([&] { delete static_cast<Instance*>(static_cast<Kind*>(self)->owner()); },
           [](std::uint32_t, std::string_view, std::uint64_t) {});
  }

  static const void* interface(const char* id) noexcept {
    return id && std::string_view(id) == Kind::kInterface ? Kind::template table<Class>() : nullptr;
  }

  static const otagate_plugin* describe(std::uint32_t host_major, const About& about) noexcept {
    if (host_major != OTAGATE_ABI_MAJOR) return nullptr;
    static const otagate_plugin description = [&] {
      auto out = make_struct<otagate_plugin>();
      out.flags = OTAGATE_PLUGIN_BLOCKING | (about.thread_safe ? OTAGATE_PLUGIN_THREAD_SAFE : 0u);
      out.id = str(about.id);
      out.version = str(about.version);
      out.summary = str(about.summary);
      out.options_schema = str(about.options_schema);
      out.interface = &interface;
      out.create = &create;
      out.destroy = &destroy;
      return out;
    }();
    return &description;
  }
};

}  // namespace detail
}  // namespace otagate::sdk

// Once per plugin, at namespace scope: OTAGATE_PLUGIN(Folder, .id = "folder", .version = "1.0.0",
// .summary = "...", .options_schema = R"({...})"). The class is a Store or a Transport and is made
// from the host it will use: explicit Folder(otagate::sdk::StoreHost& host).
#define OTAGATE_PLUGIN(Class, ...)                                                                         \
  extern "C" OTAGATE_EXPORT const otagate_plugin* otagate_plugin_entry(std::uint32_t host_major,           \
                                                                       std::uint32_t /*host_minor*/) {     \
    return ::otagate::sdk::detail::Entry<Class>::describe(host_major, ::otagate::sdk::About{__VA_ARGS__}); \
  }
