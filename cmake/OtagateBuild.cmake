# What every target of the tree shares: language level, warnings, sanitizers, output folders.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(OTAGATE_PLUGIN_OUTPUT_DIR "${CMAKE_BINARY_DIR}/lib/otagate/plugins")

set(OTAGATE_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")
option(OTAGATE_ASSERTIONS "Keep assertions whatever the build type" OFF)
option(OTAGATE_WERROR "Warnings are errors" OFF)  # another compiler's new warning is no reason not to build

option(OTAGATE_PCH "Compile the headers that most files include once for each larger target" OFF)

find_program(OTAGATE_CCACHE ccache)
if(OTAGATE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${OTAGATE_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${OTAGATE_CCACHE}")
  if(OTAGATE_PCH)  # without these ccache takes no file that uses a precompiled header
    set(CMAKE_CXX_COMPILER_LAUNCHER
        "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${OTAGATE_CCACHE}")
    add_compile_options($<$<AND:$<CXX_COMPILER_ID:GNU>,$<COMPILE_LANGUAGE:CXX>>:-fpch-preprocess>)
  endif()
endif()
find_program(OTAGATE_MOLD mold)
if(OTAGATE_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -fno-omit-frame-pointer)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(OTAGATE_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND CMAKE_BUILD_TYPE MATCHES "Rel")
  # GCC 12 sees writes out of bounds in moved std::strings once it has inlined enough.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-array-bounds> $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
add_link_options(-Wl,-z,relro,-z,now)
if(OTAGATE_ASSERTIONS)
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(OTAGATE_SANITIZE)
  add_compile_options(-fsanitize=${OTAGATE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${OTAGATE_SANITIZE})
  if(OTAGATE_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-tsan>)  # Asio's fences, which TSan does not follow
  endif()
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  add_compile_definitions($<$<COMPILE_LANGUAGE:CXX>:_FORTIFY_SOURCE=2>)
  add_compile_options(-fstack-protector-strong)
endif()

# otagate_precompile(TARGET [header...]): the standard library's usual headers and the given ones, compiled
# once for all of the target's files. Pays from about eight files on; less is left as it is. A file still
# includes what it uses: ./dev lint builds without.
function(otagate_precompile target)
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources count)
  if(NOT OTAGATE_PCH OR count LESS 8)
    return()
  endif()
  list(TRANSFORM ARGN REPLACE "^(.+)$" "$<$<COMPILE_LANGUAGE:CXX>:<\\1$<ANGLE-R>>" OUTPUT_VARIABLE more)
  foreach(header algorithm atomic chrono cstdint filesystem functional map memory mutex optional span string
                 string_view unordered_map utility variant vector)
    list(APPEND more "$<$<COMPILE_LANGUAGE:CXX>:<${header}$<ANGLE-R>>")
  endforeach()
  target_precompile_headers(${target} PRIVATE ${more})
endfunction()

# otagate_module(NAME [PUBLIC lib...] [PRIVATE lib...] [ALONE file...]): one folder, one static library.
# Every .cpp of the folder belongs to it; a new file needs no change here. The packages are built with
# CMAKE_UNITY_BUILD, many files as one: ALONE are those whose file-local names clash with a neighbour's.
function(otagate_module name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE;ALONE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  if(NOT sources)
    return()
  endif()
  add_library(otagate_${name} STATIC ${sources})
  if(ARG_ALONE)
    set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  target_include_directories(otagate_${name} PUBLIC "${PROJECT_SOURCE_DIR}/daemon")
  target_link_libraries(otagate_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  otagate_precompile(otagate_${name} spdlog/logger.h tl/expected.hpp)
endfunction()

# otagate_unit_test(TARGET PREFIX ctest-prefix SOURCES file... [LIBRARIES lib...]): a GoogleTest program whose
# tests are ctest tests of their own. Only where OTAGATE_TESTS is on.
function(otagate_unit_test target)
  cmake_parse_arguments(ARG "" "PREFIX" "SOURCES;LIBRARIES" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${target} ${ARG_SOURCES})
  # Tests of different files use the same names for their helpers.
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/plugins" "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} GTest::gmock_main)
  otagate_precompile(${target} gmock/gmock.h gtest/gtest.h)
  gtest_discover_tests(${target} TEST_PREFIX "${ARG_PREFIX}" PROPERTIES LABELS unit TIMEOUT 120
                       DISCOVERY_TIMEOUT 60)
endfunction()
