# Every folder defines its target with one of these. Paths of includes start at the top of the
# project, for all targets alike; which folder may include which is checked by the tidy test.
#
#   shoal_library(<target> ALIAS <name> SOURCES ... [PUBLIC libs...] [PRIVATE libs...] [INSTALL])
#   shoal_program(<target> SOURCES ... [LINK libs...] [INSTALL])
#   shoal_test(<target> LABEL <label> TIMEOUT <s> SOURCES ... [LINK libs...] [SHARDS <n>] [NO_MAIN])
#
# INSTALL adds the target to what find_package(shoal) offers, or to the installed programs.

function(shoal_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INSTALL" "ALIAS" "SOURCES;PUBLIC;PRIVATE")
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(shoal::${arg_ALIAS} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${arg_ALIAS})
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  if(arg_INSTALL)
    install(TARGETS ${target} EXPORT shoalTargets
      ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sdk)
  endif()
endfunction()

function(shoal_program target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INSTALL" "" "SOURCES;LINK")
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${target} PRIVATE SHOAL_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${target} PRIVATE ${arg_LINK})
  if(arg_INSTALL)
    install(TARGETS ${target} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT programs)
  endif()
endfunction()

# One ctest for each executable: gtest_discover_tests would start every program once for each of its
# tests, which costs more than the tests themselves. With SHARDS, as many that share out its tests, so
# that long suites run side by side. IDLE: it starts what computes at SCHED_IDLE and gets next to nothing
# beside others' work, so that two processors are left to it.
function(shoal_test target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_MAIN;IDLE" "LABEL;TIMEOUT;SHARDS" "SOURCES;LINK")
  if(NOT arg_LABEL OR NOT arg_TIMEOUT)
    message(FATAL_ERROR "${target}: a test needs a LABEL and a TIMEOUT in seconds")
  endif()
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${target} PRIVATE
    SHOAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    SHOAL_PROGRAM_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    SHOAL_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${target} PRIVATE ${arg_LINK} GTest::gmock)
  if(NOT arg_NO_MAIN)
    target_link_libraries(${target} PRIVATE GTest::gtest_main)
  endif()
  string(REGEX REPLACE "^test_" "" name "${target}")
  math(EXPR timeout "${arg_TIMEOUT} * ${SHOAL_TIMEOUT_FACTOR}")
  if(NOT arg_SHARDS)
    set(arg_SHARDS 1)
  endif()
  foreach(shard RANGE 1 ${arg_SHARDS})
    set(test "${arg_LABEL}.${name}")
    set(environment)
    if(arg_SHARDS GREATER 1)
      math(EXPR index "${shard} - 1")
      string(APPEND test ".${shard}")
      set(environment GTEST_TOTAL_SHARDS=${arg_SHARDS} GTEST_SHARD_INDEX=${index})
    endif()
    add_test(NAME "${test}" COMMAND ${target})
    set_tests_properties("${test}" PROPERTIES
      LABELS "${arg_LABEL}" TIMEOUT ${timeout} ENVIRONMENT "${environment}")
    if(arg_IDLE)
      set_tests_properties("${test}" PROPERTIES PROCESSORS 2)
    endif()
  endforeach()
endfunction()
