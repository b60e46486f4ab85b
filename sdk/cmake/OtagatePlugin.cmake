# otagate_add_plugin(NAME STORE|TRANSPORT SOURCES file... [LIBRARIES lib...] [PERMISSIONS word...]
#                    [NO_INSTALL])
#
# Builds NAME.so with one exported symbol and NAME.plugin.toml beside it, in the same folder, and
# installs both into <libdir>/otagate/plugins. The target is called plugin_NAME; NAME is the id that
# the plugin's own description gives, and what a configuration calls it.
#
#   PERMISSIONS  what the plugin needs beyond its own files, for whoever writes the service's sandbox:
#                network, serial, usb, bluetooth, files. Shown by `otagate plugins`.
#   NO_INSTALL   for plugins that only tests load.

function(otagate_add_plugin name)
  cmake_parse_arguments(ARG "STORE;TRANSPORT;NO_INSTALL" "OUTPUT_DIRECTORY" "SOURCES;LIBRARIES;PERMISSIONS" ${ARGN})
  if(NOT name MATCHES "^[a-z0-9][a-z0-9-]*$")
    message(FATAL_ERROR "otagate_add_plugin: '${name}' is no plugin id; use a-z, 0-9 and '-'")
  endif()
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "otagate_add_plugin(${name}): unknown argument '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT ARG_SOURCES)
    message(FATAL_ERROR "otagate_add_plugin(${name}): name its sources: SOURCES file.cpp ...")
  endif()
  set(interfaces "")
  if(ARG_STORE)
    list(APPEND interfaces storage)
  endif()
  if(ARG_TRANSPORT)
    list(APPEND interfaces transport)
  endif()
  if(NOT interfaces)
    message(FATAL_ERROR "otagate_add_plugin(${name}): say what it is: STORE or TRANSPORT")
  endif()

  set(cmake_dir "${CMAKE_CURRENT_FUNCTION_LIST_DIR}")
  set(target plugin_${name})
  set(map "${cmake_dir}/plugin.map")
  set(output "${ARG_OUTPUT_DIRECTORY}")
  if(NOT output)
    set(output "${OTAGATE_PLUGIN_OUTPUT_DIR}")
  endif()
  if(NOT output)
    set(output "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  add_library(${target} MODULE ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME "${name}" LIBRARY_OUTPUT_DIRECTORY "${output}"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON LINK_DEPENDS "${map}")
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_link_libraries(${target} PRIVATE otagate::sdk ${ARG_LIBRARIES})
  target_link_options(${target} PRIVATE "LINKER:--version-script=${map}" "LINKER:--exclude-libs,ALL")
  # A symbol that is missing shows when linking and not when a gateway loads the plugin. Sanitizer
  # runtimes are the exception: clang leaves them to the program.
  if(NOT OTAGATE_SANITIZE)
    target_link_options(${target} PRIVATE "LINKER:-z,defs")
  endif()

  # Stripped where it is linked, so that the manifest's hash is that of the file as it is shipped.
  # Debug information stays beside it as NAME.so.debug. What strips once more has to run
  # plugin-manifest.cmake after.
  if(CMAKE_STRIP AND CMAKE_OBJCOPY)
    add_custom_command(TARGET ${target} POST_BUILD
      COMMAND "$<IF:$<CONFIG:None,Release,RelWithDebInfo,MinSizeRel>,${CMAKE_COMMAND},true>"
              "-DPLUGIN=$<TARGET_FILE:${target}>" "-DOBJCOPY=${CMAKE_OBJCOPY}" "-DSTRIP=${CMAKE_STRIP}"
              -P "${cmake_dir}/plugin-strip.cmake"
      VERBATIM)
  endif()
  list(JOIN interfaces "," interfaces)
  list(JOIN ARG_PERMISSIONS "," permissions)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND "${CMAKE_COMMAND}" "-DPLUGIN=$<TARGET_FILE:${target}>" "-DID=${name}"
            "-DABI_MAJOR=${OTAGATE_SDK_ABI_MAJOR}" "-DABI_MINOR=${OTAGATE_SDK_ABI_MINOR}"
            "-DINTERFACES=${interfaces}" "-DPERMISSIONS=${permissions}"
            -P "${cmake_dir}/plugin-manifest.cmake"
    VERBATIM)

  if(NOT ARG_NO_INSTALL)
    include(GNUInstallDirs)
    set(destination "${CMAKE_INSTALL_LIBDIR}/otagate/plugins")
    install(FILES "$<TARGET_FILE:${target}>" "${output}/${name}.plugin.toml" DESTINATION "${destination}"
            COMPONENT plugin-${name})
    set_property(GLOBAL APPEND PROPERTY OTAGATE_PLUGINS ${name})
    set_property(GLOBAL APPEND PROPERTY OTAGATE_PLUGINS_${interfaces} ${name})
  endif()
endfunction()
