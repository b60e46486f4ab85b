# Writes <name>.plugin.toml beside a plugin: what the loader checks before it opens the shared object.
# The hash is that of the file as it will be loaded, so run this again after stripping:
#
#   cmake -DPLUGIN=/usr/lib/.../s3.so -P plugin-manifest.cmake          keeps what the manifest says
#   cmake -DPLUGIN=... -DID=... -DABI_MAJOR=1 -DABI_MINOR=0 -DINTERFACES=storage
#         -DPERMISSIONS=network,serial -P plugin-manifest.cmake         writes a new one
cmake_minimum_required(VERSION 3.25)

if(NOT PLUGIN OR NOT EXISTS "${PLUGIN}")
  message(FATAL_ERROR "plugin-manifest: there is no file '${PLUGIN}'; pass -DPLUGIN=/path/to/name.so")
endif()
get_filename_component(folder "${PLUGIN}" DIRECTORY)
get_filename_component(file "${PLUGIN}" NAME)
get_filename_component(stem "${PLUGIN}" NAME_WLE)
set(manifest "${folder}/${stem}.plugin.toml")
file(SHA256 "${PLUGIN}" sha256)

if(NOT ID)
  if(NOT EXISTS "${manifest}")
    message(FATAL_ERROR "plugin-manifest: ${manifest} does not exist yet; pass ID, ABI_MAJOR, ABI_MINOR "
                        "and INTERFACES to write it")
  endif()
  file(READ "${manifest}" text)
  if(NOT text MATCHES "\nsha256 = \"[0-9a-f]+\"\n")
    message(FATAL_ERROR "plugin-manifest: ${manifest} has no line: sha256 = \"...\"")
  endif()
  string(REGEX REPLACE "\nsha256 = \"[0-9a-f]+\"\n" "\nsha256 = \"${sha256}\"\n" text "${text}")
  file(WRITE "${manifest}" "${text}")
  return()
endif()

function(quoted_list out words prefix suffix)
  string(REPLACE "," ";" words "${words}")
  set(quoted "")
  foreach(word IN LISTS words)
    list(APPEND quoted "\"${prefix}${word}${suffix}\"")
  endforeach()
  list(JOIN quoted ", " joined)
  set(${out} "[${joined}]" PARENT_SCOPE)
endfunction()
quoted_list(interfaces "${INTERFACES}" "otagate." "/1")
quoted_list(permissions "${PERMISSIONS}" "" "")

file(WRITE "${manifest}" "# Checked before ${file} is loaded. Written when it was linked; do not edit.
manifest = 1
id = \"${ID}\"
file = \"${file}\"
abi_major = ${ABI_MAJOR}
abi_minor = ${ABI_MINOR}
interfaces = ${interfaces}
sha256 = \"${sha256}\"
permissions = ${permissions}
")
