# otagate_python_tests(LABEL): registers every test_*.py of the current folder as LABEL.<name>.
# Lines near the top of the file steer ctest:
#   # ctest-timeout: 900      seconds, default 300
#   # ctest-serial            runs alone: measures time or uses fixed ports
function(otagate_python_tests label)
  if(NOT OTAGATE_TESTS OR NOT OTAGATE_DAEMON)
    return()
  endif()
  file(GLOB files CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/test_*.py")
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    string(REGEX REPLACE "^test_" "" name "${name}")
    add_test(NAME ${label}.${name} COMMAND "${PROJECT_SOURCE_DIR}/tests/tools/run_pytest" "${file}"
             WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    set(timeout 300)
    file(STRINGS "${file}" lines LIMIT_COUNT 12 REGEX "^# ctest-")
    foreach(line IN LISTS lines)
      if(line MATCHES "^# ctest-timeout: ([0-9]+)")
        set(timeout ${CMAKE_MATCH_1})
      elseif(line MATCHES "^# ctest-serial")
        set_tests_properties(${label}.${name} PROPERTIES RUN_SERIAL ON)
      endif()
    endforeach()
    set_tests_properties(${label}.${name} PROPERTIES
      LABELS ${label} TIMEOUT ${timeout} SKIP_RETURN_CODE 77
      ENVIRONMENT "OTAGATE_BUILD_DIR=${CMAKE_BINARY_DIR}")
  endforeach()
endfunction()
